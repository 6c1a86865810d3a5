//! The build step between cargo and the host: a core module that cargo linked becomes a component, and is compared with
//! the contract in `wit/`. What the component imports is its permissions, so an import too many fails the build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId, WorldKey};

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file can't be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The contract can't be read.
    #[error("the contract in {path}: {reason}")]
    Contract {
        /// Which folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The core module isn't one.
    #[error("the core module is malformed: {0}")]
    Malformed(String),
    /// Something was linked that reaches around the contract.
    #[error("the core module imports {module}::{name}: {advice}")]
    ForeignImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// Where it comes from.
        advice: &'static str,
    },
    /// The encoder refuses it.
    #[error("the component can't be made: {0}")]
    Encode(String),
    /// The component isn't what the contract says.
    #[error("the component's {direction} are {found:?}, the contract's {expected:?}")]
    Interfaces {
        /// Imports or exports.
        direction: &'static str,
        /// The component's.
        found: Vec<String>,
        /// The contract's.
        expected: Vec<String>,
    },
}

/// A component and what it is made of.
#[derive(Debug)]
pub struct Packed {
    /// The component.
    pub bytes: Vec<u8>,
    /// What it imports, sorted.
    pub imports: Vec<String>,
    /// What it exports, sorted.
    pub exports: Vec<String>,
}

/// Makes a component of a core module, by the contract in the folder `wit`.
pub fn pack(core: &[u8], wit: &Path) -> Result<Packed, PackError> {
    refuse_foreign_imports(core)?;
    let (resolve, worlds) = contract(wit)?;
    let encode = |error: &dyn std::fmt::Display| PackError::Encode(error.to_string());
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| encode(&format!("{error:#}")))?;
    let (imports, exports) = interfaces(&bytes)?;
    // The richest world of which it has everything; if it is of none, what is told is what the first lacks.
    let exported = |world: &&WorldId| world_interfaces(&resolve, **world).1 == exports;
    let Some(world) = worlds.iter().rev().find(exported).or(worlds.first()).copied() else {
        return Err(PackError::Contract { path: wit.into(), reason: "it has no world".into() });
    };
    let (expected_imports, expected_exports) = world_interfaces(&resolve, world);
    // Who needs less may import less; everything that a host calls must be there.
    require("imports", imports.iter().all(|name| expected_imports.contains(name)), &imports, &expected_imports)?;
    require("exports", exports == expected_exports, &exports, &expected_exports)?;
    wit_component::targets(&resolve, world, &bytes, false).map_err(|error| encode(&format!("{error:#}")))?;
    Ok(Packed { bytes, imports, exports })
}

/// What a component imports and exports, by full names, sorted.
pub fn interfaces(component: &[u8]) -> Result<(Vec<String>, Vec<String>), PackError> {
    match wit_component::decode(component).map_err(|error| PackError::Malformed(format!("{error:#}")))? {
        DecodedWasm::Component(resolve, world) => Ok(world_interfaces(&resolve, world)),
        DecodedWasm::WitPackage(..) => Err(PackError::Malformed("it is a WIT package, not a component".into())),
    }
}

/// The worlds that a plugin may be of: the one that each version has, and those with more.
const WORLDS: [&str; 2] = ["plugin", "prepared-plugin"];

fn contract(wit: &Path) -> Result<(Resolve, Vec<WorldId>), PackError> {
    let bad = |reason: String| PackError::Contract { path: wit.into(), reason };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).map_err(|error| bad(format!("{error:#}")))?;
    let (first, more) = (WORLDS[0], &WORLDS[1..]);
    let world = resolve.select_world(&[package], Some(first)).map_err(|error| bad(format!("{error:#}")))?;
    let more = more.iter().filter_map(|name| resolve.select_world(&[package], Some(name)).ok());
    let worlds = [world].into_iter().chain(more).collect();
    Ok((resolve, worlds))
}

fn world_interfaces(resolve: &Resolve, world: WorldId) -> (Vec<String>, Vec<String>) {
    let Some(world) = resolve.worlds.get(world) else { return (Vec::new(), Vec::new()) };
    let name = |key: &WorldKey| resolve.name_world_key(key);
    let sorted = |names: BTreeSet<String>| names.into_iter().collect();
    (sorted(world.imports.keys().map(name).collect()), sorted(world.exports.keys().map(name).collect()))
}

fn require(direction: &'static str, fits: bool, found: &[String], expected: &[String]) -> Result<(), PackError> {
    if fits {
        return Ok(());
    }
    Err(PackError::Interfaces { direction, found: found.to_vec(), expected: expected.to_vec() })
}

/// Says where a foreign import comes from; the encoder would only say that it doesn't know it.
fn refuse_foreign_imports(core: &[u8]) -> Result<(), PackError> {
    for payload in Parser::new(0).parse_all(core) {
        let malformed = |error: wasmparser::BinaryReaderError| PackError::Malformed(error.to_string());
        let Payload::ImportSection(section) = payload.map_err(malformed)? else { continue };
        for import in section.into_imports() {
            let import = import.map_err(malformed)?;
            let advice = match import.module {
                module if module.starts_with("defguard:openid/") => continue,
                module if module.starts_with("__wbindgen") || module == "wbg" => {
                    "a dependency brings wasm-bindgen (chrono's wasmbind, getrandom's wasm_js, ed25519-compact): turn that feature off"
                }
                module if module.starts_with("wasi") => {
                    "it was built for a WASI target: build for wasm32-unknown-unknown"
                }
                "env" => {
                    "an extern function was never defined: a C dependency, or getrandom without its custom backend"
                }
                _ => "it is not in the contract",
            };
            return Err(PackError::ForeignImport {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
                advice,
            });
        }
    }
    Ok(())
}
