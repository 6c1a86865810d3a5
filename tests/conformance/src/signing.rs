//! Whoever signs plugins in the tests: a key made anew, and signatures in minisign's format with any trusted comment.

use std::fmt::Write as _;

use defguard_openid_host::sandbox::signature::trusted_comment;
use minisign::KeyPair;

use crate::HostOptions;

/// A key pair.
pub struct Signer(KeyPair);

impl Default for Signer {
    fn default() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("the system has randomness"))
    }
}

impl Signer {
    /// As `plugins.trusted_keys` has it.
    pub fn key(&self) -> String {
        self.0.pk.to_base64()
    }

    /// The lines of `[plugins]` that trust this one alone.
    pub fn trusted(&self) -> String {
        format!("trusted_keys = [{:?}]", self.key())
    }

    /// A signature with this trusted comment.
    pub fn sign_as(&self, bytes: &[u8], comment: &str) -> String {
        minisign::sign(None, &self.0.sk, bytes, Some(comment), None).expect("a signature").into_string()
    }

    /// A signature as `plugin sign` makes it for our plugin.
    pub fn sign(&self, bytes: &[u8], signed_at_unix_s: u64) -> String {
        self.sign_as(bytes, &trusted_comment("defguard-openid", crate::VERSION, bytes, signed_at_unix_s))
    }
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The component under test, signed, in this folder: for hosts that aren't on a development machine.
pub fn signed_component(folder: &std::path::Path) -> HostOptions {
    let (signer, path) = (Signer::default(), folder.join("openid.wasm"));
    let bytes = std::fs::read(crate::component()).expect("the component is there");
    std::fs::write(folder.join("openid.wasm.minisig"), signer.sign(&bytes, 1_700_000_000)).expect("it can be written");
    std::fs::write(&path, bytes).expect("it can be written");
    HostOptions { plugin: Some(path), plugins: signer.trusted(), ..HostOptions::default() }
}

/// The component under test with a custom section at its end: other bytes, the same plugin.
pub fn variant(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(crate::component()).expect("the component is there");
    bytes.extend_from_slice(&[0, 3, 1, b'v', number]);
    bytes
}

/// The component under test with a text replaced by one of the same length, wherever it stands.
pub fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "the same length");
    let mut bytes = variant(255);
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, found)| *found == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{from:?} isn't in the component");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// A component that does nothing and imports one interface, by its name.
pub fn importing(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // An instance type without members, and an import of it.
    bytes.extend_from_slice(&[7, 3, 1, 0x42, 0]);
    bytes.extend_from_slice(&[10, length + 5, 1, 0, length]);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[5, 0]);
    bytes
}
