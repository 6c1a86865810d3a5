//! The binary: `defguard-openid`.

fn main() -> std::process::ExitCode {
    defguard_openid_host::cli::run()
}
