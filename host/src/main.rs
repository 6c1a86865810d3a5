//! The binary: `defguard-openid`.

/// Whoever embeds the library has one of their own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    defguard_openid_host::cli::run()
}
