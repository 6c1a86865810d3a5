//! The conformance tests that may run side by side in one process: compiling and linking them as one is much faster than
//! one program a file. Those that measure a process, or read all its logs, have a program of their own.

mod accepted;
mod command_line;
mod commands;
mod contract;
mod core_directory;
mod core_faults;
mod core_people;
mod credentials;
mod directory_at_login;
mod documentation;
mod entra_forms;
mod independent;
mod limits;
mod linking;
mod observability;
mod oidc_provider_itself;
mod own_plugin;
mod pages;
mod playground;
mod plugin_commands;
mod plugin_files;
mod policy;
mod readiness;
mod refused;
mod service;
mod several;
mod shared_storage;
mod sync;
mod sync_commands;
mod sync_core;
mod sync_faults;
mod sync_histories;
mod sync_missing;
mod sync_process;
mod tls;
