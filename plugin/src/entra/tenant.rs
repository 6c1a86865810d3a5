//! A tenant: by its GUID, which never changes, or by a domain, which names it.

use std::fmt;

/// The tenant of personal Microsoft accounts.
pub const MSA_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// A tenant's identifier: a GUID, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenantId(String);

impl TenantId {
    /// Parses the 36-character form, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hyphen = |position| matches!(position, 8 | 13 | 18 | 23);
        let good = text.len() == 36
            && text.bytes().enumerate().all(|(position, byte)| match byte {
                b'-' => is_hyphen(position),
                _ => byte.is_ascii_hexdigit() && !is_hyphen(position),
            });
        good.then(|| Self(text.to_ascii_lowercase()))
    }

    /// As it is compared and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one of personal accounts.
    pub fn is_personal(&self) -> bool {
        self.0 == MSA_TENANT
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a text is a domain name, as a tenant's may be: two or more labels of letters, digits and hyphens.
pub fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    labels.len() >= 2
        && text.len() <= 253
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}
