//! `playground CORE.wasm FOLDER`: writes the playground page. The core module is the plugin's, built for browsers (feature
//! `browser`); what comes out are plain files that need nothing but each other.

mod bind;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The page's own files: they are part of this program, so that a changed page is a changed program to cargo.
const PAGE: [(&str, &str); 6] = [
    ("index.html", include_str!("../page/index.html")),
    ("style.css", include_str!("../page/style.css")),
    ("page.mjs", include_str!("../page/page.mjs")),
    ("examples.mjs", include_str!("../page/examples.mjs")),
    ("worker.mjs", include_str!("../page/worker.mjs")),
    ("evaluator.mjs", include_str!("../page/evaluator.mjs")),
];
/// Functions that `page/evaluator.mjs` calls.
const FUNCTIONS: [&str; 3] = ["check", "preview", "version"];

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: std::io::Error },
    #[error("the core module: {0}")]
    Bind(#[from] bind::BindError),
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [core, folder] = arguments.as_slice() else {
        eprintln!("usage: playground CORE.wasm FOLDER");
        return ExitCode::from(2);
    };
    match run(core, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("playground: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(core: &Path, folder: &Path) -> Result<(), PageError> {
    let bytes = std::fs::read(core).map_err(|reason| PageError::File { path: core.into(), reason })?;
    let bound = bind::bind(bytes, &FUNCTIONS)?;
    std::fs::create_dir_all(folder).map_err(|reason| PageError::File { path: folder.into(), reason })?;
    for (name, text) in PAGE {
        write(folder, name, text)?;
    }
    write(folder, "openid.mjs", &bound.glue)?;
    // The page may connect to nothing, not even to where it came from: so the module comes as a script.
    let module = format!("export const module = \"{}\";\n", STANDARD.encode(&bound.wasm));
    write(folder, "module.mjs", &module)?;
    println!("{}: {} bytes of WebAssembly, imports {}", folder.display(), bound.wasm.len(), bound.imports.join(" "));
    Ok(())
}

/// Renamed into place: a host that starts meanwhile never reads half a file.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), PageError> {
    let (path, partial) = (folder.join(name), folder.join(format!(".{name}.partial")));
    let file = |path: &Path| {
        let path = path.to_path_buf();
        move |reason| PageError::File { path, reason }
    };
    std::fs::write(&partial, text).map_err(file(&partial))?;
    std::fs::rename(&partial, &path).map_err(file(&path))
}
