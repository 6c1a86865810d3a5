//! `[tls]`: a certificate of this host's own listener. Without that table it speaks plain HTTP, behind a proxy that ends TLS.

use std::path::PathBuf;

use toml::Table;

use super::file::Reader;
use super::reference::names;

/// `[tls]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM: the certificate, then those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM, not encrypted.
    pub private_key_file: PathBuf,
}

#[expect(clippy::option_option, reason = "wrong, switched off, or a pair")]
pub(super) fn read(reader: &mut Reader, table: &Table) -> Option<Option<TlsConfig>> {
    if !table.contains_key("tls") {
        return Some(None);
    }
    let tls = reader.table(table, "tls", &names("tls"));
    let certificate = reader.needed(&tls, "tls", "certificate_file", "a PEM file: the certificate, then its issuers");
    let key = reader.needed(&tls, "tls", "private_key_file", "a PEM file with the certificate's private key");
    Some(Some(TlsConfig { certificate_file: reader.resolve(&certificate?), private_key_file: reader.resolve(&key?) }))
}
