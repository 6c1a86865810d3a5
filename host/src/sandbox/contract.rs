//! The versions of the contract that this host runs, side by side: the present one and the minor version before it. A later one only
//! adds, so both have the same functions with the same types under names that differ; what the earlier one lacks, a plugin of it
//! doesn't do.

use wasmtime::component::{HasSelf, Linker};

use super::bindings::defguard::openid::{cache, clock, credentials, http, log, random, storage};
use super::call::CallState;

/// A version of `defguard:openid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractVersion {
    /// `wit/since_v0.1.0/`: signing in.
    V0_1,
    /// `wit/`: reading a directory as well.
    V0_2,
}

impl ContractVersion {
    /// All that this host runs, the present one first.
    pub const ALL: [Self; 2] = [Self::V0_2, Self::V0_1];

    /// As packages of WIT are numbered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
            Self::V0_2 => "0.2.0",
        }
    }

    /// The whole name of an interface.
    pub fn name(self, interface: &str) -> String {
        format!("defguard:openid/{interface}@{}", self.as_str())
    }

    /// Whether it has the export `directory`.
    pub fn has_directory(self) -> bool {
        self != Self::V0_1
    }
}

/// The seven imports, under the names of each version: one implementation serves them all.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for version in ContractVersion::ALL {
        let name = |interface: &str| version.name(interface);
        cache::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("cache"))?, |state| state)?;
        clock::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("clock"))?, |state| state)?;
        credentials::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("credentials"))?, |state| {
            state
        })?;
        http::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("http"))?, |state| state)?;
        log::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("log"))?, |state| state)?;
        random::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("random"))?, |state| state)?;
        storage::add_to_linker_instance::<_, HasSelf<_>>(&mut linker.instance(&name("storage"))?, |state| state)?;
    }
    Ok(())
}
