//! What a plugin's file is made of, looked at before anything of it is compiled. A component may hold components that
//! instantiate each other, each twice: thirty such lines are 2^30 instances, and the compiler would write them all out. One
//! that our encoder makes has three core instances and one nested component for each interface that it exports.

use wasmparser::{Parser, Payload};

/// Components within components: one level, which the encoder uses to name exports.
const MAX_DEPTH: usize = 1;
/// Core modules, and instances of all sorts, in the whole file.
const MAX_PARTS: u64 = 64;

/// Why a file isn't compiled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormError {
    /// It isn't WebAssembly.
    Malformed(String),
    /// There is too much of something.
    Excessive(String),
}

/// Looks at the sections of a file, not at the code in them.
pub(super) fn check(bytes: &[u8]) -> Result<(), FormError> {
    let (mut depth, mut parts) = (0_usize, 0_u64);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| FormError::Malformed(error.to_string()))? {
            Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(FormError::Excessive(format!("components are nested deeper than {MAX_DEPTH} level")));
                }
            }
            // The outermost one's end comes last.
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ModuleSection { .. } => {
                // Its end comes as a component's does.
                depth += 1;
                parts += 1;
            }
            Payload::InstanceSection(section) => parts += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => parts += u64::from(section.count()),
            _ => {}
        }
        if parts > MAX_PARTS {
            return Err(FormError::Excessive(format!("it has more than {MAX_PARTS} modules and instances")));
        }
    }
    Ok(())
}
