//! Hostile plugins, one table a file. Those that measure the process have a program of their own.

mod bounds;
mod capabilities;
mod interface;
mod lies;
mod loading;
mod preparation;
