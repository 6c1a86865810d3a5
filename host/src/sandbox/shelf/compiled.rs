//! Machine code that this host compiled, kept so that the next start needn't. wasmtime runs whatever it is given as such, so what
//! wasn't written here must never come back: every file is bound by an HMAC, under the folder's key, to the plugin, to the engine's
//! configuration and to this version of the host. Anything else is compiled anew, and said.
//!
//! wasmtime's own cache isn't used: it trusts whatever lies in its folder.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ring::hmac;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::Shelf;

const MAGIC: &[u8; 8] = b"dgoidcc1";
const TAG_BYTES: usize = 32;
/// The largest file that is read: several times what a plugin of the largest size is compiled to.
const MAX_BYTES: u64 = 256 << 20;

impl Shelf {
    /// What was compiled of the plugin with this hash by an engine like this one, if it was kept.
    pub(in crate::sandbox) fn compiled(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        self.key.as_ref()?;
        let path = self.folder.join(name(engine, sha256));
        let length = std::fs::metadata(&path).ok()?.len();
        let refused = |reason: &str| {
            tracing::warn!(path = %path.display(), reason, "compiled code isn't used, but made anew");
        };
        if length > MAX_BYTES {
            refused("it is too large");
            return None;
        }
        // Read once, into memory of our own: what is checked is what runs.
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                refused(&error.to_string());
                return None;
            }
        };
        let Some(code) = self.authenticated(engine, sha256, &bytes) else {
            refused("this host didn't write it, or it is damaged");
            return None;
        };
        match deserialize(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                refused(&format!("{error:#}"));
                None
            }
        }
    }

    /// Keeps what was compiled. Without it the next start compiles again.
    pub(in crate::sandbox) fn keep_compiled(&self, engine: &Engine, sha256: &str, component: &Component) {
        let Some(key) = self.key.as_ref().filter(|_| self.notes) else { return };
        let kept = component.serialize().map_err(|error| format!("{error:#}")).and_then(|code| {
            let tag = hmac::sign(key, &message(engine, sha256, &code));
            let bytes = [MAGIC.as_slice(), tag.as_ref(), &code].concat();
            self.write(&name(engine, sha256), &bytes).map_err(|error| error.to_string())
        });
        if let Err(error) = kept {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled code isn't kept");
        }
    }

    /// As [`Shelf::keep_compiled`], of a plugin that is prepared, `key` being its hash, a dot and what it is prepared for: what it was prepared
    /// for before isn't kept any longer.
    pub(in crate::sandbox) fn keep_prepared(&self, engine: &Engine, key: &str, component: &Component) {
        self.forget_prepared(key.split_once('.').map_or(key, |(sha256, _)| sha256));
        self.keep_compiled(engine, key, component);
    }

    /// Deletes what is kept of the plugin with this hash as it was prepared.
    pub(in crate::sandbox) fn forget_prepared(&self, sha256: &str) {
        let kept = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in kept.filter(|_| self.notes) {
            let name = entry.file_name();
            let rest = name.to_string_lossy().strip_prefix(sha256).map(str::to_owned);
            if rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".compiled")) {
                // It is in nobody's way.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The machine code of a file, if this host wrote it for this plugin and engine.
    fn authenticated<'a>(&self, engine: &Engine, sha256: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (tag, code) = rest.split_at_checked(TAG_BYTES)?;
        hmac::verify(self.key.as_ref()?, &message(engine, sha256, code), tag).ok()?;
        Some(code)
    }
}

/// What the tag is over: no part can be moved into another, since all but the last have a fixed length or an end.
fn message(engine: &Engine, sha256: &str, code: &[u8]) -> Vec<u8> {
    let bound = format!("{}\n{sha256}\n{}\n", env!("CARGO_PKG_VERSION"), compatibility(engine));
    [bound.as_bytes(), code].concat()
}

fn name(engine: &Engine, sha256: &str) -> String {
    format!("{sha256}-{}.compiled", compatibility(engine))
}

/// Names wasmtime's version, the compiler's settings and this processor's features.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A component that another engine of this process has compiled a moment ago, for this engine.
pub(in crate::sandbox) fn moved(engine: &Engine, compiled: Component) -> wasmtime::Result<Component> {
    let code = compiled.serialize()?;
    drop(compiled);
    deserialize(engine, &code)
}

#[expect(
    unsafe_code,
    reason = "machine code that this host compiled itself: one caller has verified the HMAC, under a key that only this user \
              can read, over these very bytes in memory, the plugin's hash and the engine's configuration; the other has them from \
              the compiler"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is unchanged output of `Component::serialize`; see the reason above.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Limits, Runtime};

    const SHA256: &str = "abc";

    #[test]
    fn only_what_was_written_here_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("plugins")).unwrap();
        let other = Shelf::open(&folder.path().join("others")).unwrap();
        let runtime = Runtime::new(Limits { concurrent_calls: 1, ..Limits::default() }).unwrap();
        let engine = runtime.engine();
        let component = Component::from_binary(engine, b"\0asm\x0d\0\x01\0").unwrap();
        assert!(shelf.compiled(engine, SHA256).is_none(), "nothing is kept yet");
        shelf.keep_compiled(engine, SHA256, &component);
        other.keep_compiled(engine, SHA256, &component);
        assert!(shelf.compiled(engine, SHA256).is_some());
        let path = folder.path().join("plugins").join(name(engine, SHA256));
        let good = std::fs::read(&path).unwrap();
        let foreign = std::fs::read(folder.path().join("others").join(name(engine, SHA256))).unwrap();
        let flipped = |position: usize| {
            let mut bytes = good.clone();
            bytes[position] ^= 1;
            bytes
        };
        let table: [(&str, Vec<u8>); 7] = [
            ("another folder's", foreign),
            ("a flipped bit of the code", flipped(good.len() - 1)),
            ("a flipped bit of the tag", flipped(MAGIC.len())),
            ("a flipped bit of the head", flipped(0)),
            ("cut off", good[..good.len() / 2].to_vec()),
            ("bare machine code", component.serialize().unwrap()),
            ("empty", Vec::new()),
        ];
        for (case, bytes) in table {
            std::fs::write(&path, bytes).unwrap();
            assert!(shelf.compiled(engine, SHA256).is_none(), "{case}");
        }
        // Another plugin's code under this one's name.
        shelf.keep_compiled(engine, "def", &component);
        std::fs::copy(folder.path().join("plugins").join(name(engine, "def")), &path).unwrap();
        assert!(shelf.compiled(engine, SHA256).is_none(), "another plugin's");
        std::fs::write(&path, &good).unwrap();
        assert!(shelf.compiled(engine, SHA256).is_some());
    }
}
