//! Prints what the benches measured.

use bench::report::Report;

fn main() -> std::io::Result<()> {
    print!("{}", Report::read()?.table());
    match Report::path().canonicalize() {
        Ok(path) => println!("\n{}", path.display()),
        Err(_) => println!("nothing was measured at full size"),
    }
    Ok(())
}
