//! `pack CORE.wasm COMPONENT.wasm WIT-FOLDER`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pack::{PackError, pack};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [core, component, wit] = arguments.as_slice() else {
        eprintln!("usage: pack CORE.wasm COMPONENT.wasm WIT-FOLDER");
        return ExitCode::from(2);
    };
    match run(core, component, wit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(core: &Path, component: &Path, wit: &Path) -> Result<(), PackError> {
    let file = |path: &Path| {
        let path = path.to_path_buf();
        move |reason| PackError::File { path, reason }
    };
    let packed = pack(&std::fs::read(core).map_err(file(core))?, wit)?;
    // Renamed into place: a host that watches the file never sees half of it.
    let partial = component.with_extension("wasm.partial");
    std::fs::write(&partial, &packed.bytes).map_err(file(&partial))?;
    std::fs::rename(&partial, component).map_err(file(component))?;
    println!("{}: {} bytes, imports {}", component.display(), packed.bytes.len(), packed.imports.join(" "));
    Ok(())
}
