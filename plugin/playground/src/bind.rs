//! From the core module that cargo linked to a module and its JavaScript, by wasm-bindgen as a library: the release that the
//! plugin's macro is of, and no program to install. What a browser couldn't run, or would need from outside, is found here.

use std::collections::BTreeSet;

use wasm_bindgen_cli_support::Bindgen;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// What a module may import from: the glue.
const GLUE: &str = "./openid_bg.js";
/// The glue's functions that a module of texts and numbers needs, by how their names begin: its table of JavaScript values,
/// and how it throws. Anything else would be a way to the outside: fetch, a clock, randomness.
const HARMLESS: [&str; 2] = ["__wbindgen_init_externref_table", "__wbg___wbindgen_throw"];

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("wasm-bindgen refuses it: {0}")]
    Bindgen(String),
    #[error("browsers can't run it: {0}; was it built with the component's flags (.cargo/config.toml)?")]
    Unsupported(String),
    #[error(
        "it imports {0}: a dependency reaches for JavaScript (getrandom's wasm_js, chrono's wasmbind); turn that off"
    )]
    ForeignImport(String),
    #[error("it doesn't export {0}: was it built with the feature `browser`?")]
    MissingExport(&'static str),
}

/// A module for browsers.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The module.
    pub(crate) wasm: Vec<u8>,
    /// The JavaScript module around it.
    pub(crate) glue: String,
    /// What the module imports, sorted.
    pub(crate) imports: Vec<String>,
}

/// Binds a core module that must export `functions`.
pub(crate) fn bind(core: Vec<u8>, functions: &[&'static str]) -> Result<Bound, BindError> {
    let refused = |error: &dyn std::fmt::Display| BindError::Bindgen(error.to_string());
    let mut bindgen = Bindgen::new();
    let mut output = bindgen
        .input_bytes("openid", core)
        .web(true)
        .map_err(|error| refused(&format!("{error:#}")))?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .map_err(|error| refused(&format!("{error:#}")))?;
    let wasm = output.wasm_mut().emit_wasm();
    // WebAssembly 2.0 is what every maintained browser runs; wide arithmetic, which the component has, is not in it.
    Validator::new_with_features(WasmFeatures::WASM2)
        .validate_all(&wasm)
        .map_err(|error| BindError::Unsupported(error.to_string()))?;
    let (imports, exports) = interface(&wasm)?;
    let is_foreign = |import: &&String| {
        let name = import.strip_prefix(GLUE).and_then(|rest| rest.strip_prefix("::"));
        !name.is_some_and(|name| HARMLESS.iter().any(|harmless| name.starts_with(harmless)))
    };
    if let Some(foreign) = imports.iter().find(is_foreign) {
        return Err(BindError::ForeignImport(foreign.clone()));
    }
    match functions.iter().find(|function| !exports.contains(**function)) {
        Some(missing) => Err(BindError::MissingExport(missing)),
        None => Ok(Bound { wasm, glue: output.js().to_owned(), imports }),
    }
}

/// Imports as `module::name`, and exports; both sorted.
fn interface(wasm: &[u8]) -> Result<(Vec<String>, BTreeSet<String>), BindError> {
    let malformed = |error: wasmparser::BinaryReaderError| BindError::Unsupported(error.to_string());
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(malformed)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(malformed)?;
                    imports.insert(format!("{}::{}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.insert(export.map_err(malformed)?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports.into_iter().collect(), exports))
}
