//! What `host/src/web/cookies.rs` imports from its crate, so that the file compiles here without wasmtime. The same rules as
//! `host/src/config/provider.rs` and `host/src/sandbox/plugin.rs`.

/// `crate::config` of the host.
pub(crate) mod config {
    /// Names a provider: 1 to 32 of `a-z 0-9 -`, a letter or digit first.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct ProviderId(String);

    impl ProviderId {
        /// Parses.
        pub(crate) fn parse(text: &str) -> Result<Self, String> {
            let good = (1..=32).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !text.starts_with('-');
            if good { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} isn't 1 to 32 of a-z, 0-9 and -")) }
        }
    }

    impl std::fmt::Display for ProviderId {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(&self.0)
        }
    }
}

/// `crate::sandbox` of the host.
pub(crate) mod sandbox {
    use std::fmt::Write as _;

    use sha2::{Digest as _, Sha256};

    /// Lower-case hexadecimal.
    pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
        let mut text = String::new();
        for byte in Sha256::digest(bytes) {
            // Writing into a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
