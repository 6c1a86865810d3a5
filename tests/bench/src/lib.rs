//! What the benches share: the figures of a run, and the emulator as a process of its own. The benches are in `benches/`.

pub mod emulator;
pub mod report;
