//! What a plugin exports: the names, as errors and metrics say them, and the types of each, whichever version of the contract has it.

use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower};
use wasmtime::{AsContextMut, error::Context as _};

use super::bindings::exports::defguard::openid::{configuration, directory, login};
use super::call::CallState;
use super::contract::ContractVersion;
use super::engine::Runtime;

/// The functions that a plugin exports, by their names in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the contract's")]
pub enum Export {
    Begin,
    Complete,
    Describe,
    Validate,
    MapClaims,
    Probe,
    TestConnection,
    NextPage,
    Person,
    Present,
    Prepare,
}

impl Export {
    const ALL: [Self; 11] = [
        Self::Begin,
        Self::Complete,
        Self::Describe,
        Self::Validate,
        Self::MapClaims,
        Self::Probe,
        Self::TestConnection,
        Self::NextPage,
        Self::Person,
        Self::Present,
        Self::Prepare,
    ];

    /// As the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Complete => "complete",
            Self::Describe => "describe",
            Self::Validate => "validate",
            Self::MapClaims => "map-claims",
            Self::Probe => "probe",
            Self::TestConnection => "test-connection",
            Self::NextPage => "next-page",
            Self::Person => "person",
            Self::Present => "present",
            Self::Prepare => "prepare",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Begin | Self::Complete => "login",
            Self::Describe | Self::Validate | Self::MapClaims | Self::Probe => "configuration",
            Self::TestConnection | Self::NextPage | Self::Person | Self::Present => "directory",
            Self::Prepare => "preparation",
        }
    }
}

/// A function of the contract: what it takes and what it answers.
pub(super) trait Exported {
    const EXPORT: Export;
    type Parameters<'a>: ComponentNamedList + Lower + Send + Sync + 'a;
    type Answer: Lift + Send + Sync + 'static;
}

macro_rules! exported {
    ($($name:ident($($parameter:ty),*) -> $answer:ty;)*) => {
        $(
            pub(super) struct $name;

            impl Exported for $name {
                const EXPORT: Export = Export::$name;
                type Parameters<'a> = ($($parameter,)*);
                type Answer = $answer;
            }
        )*

        /// Whether every function that there is has the contract's types.
        fn check_all(exports: &Exports, instance: &Instance, store: &mut impl AsContextMut) -> wasmtime::Result<()> {
            $(exports.check::<$name>(instance, store)?;)*
            Ok(())
        }
    };
}

exported! {
    Begin(&'a login::BeginRequest) -> Result<login::Authorization, login::Refusal>;
    Complete(&'a login::CompleteRequest) -> Result<login::Completion, login::Refusal>;
    Describe() -> configuration::Description;
    Validate(&'a str) -> Vec<configuration::Problem>;
    MapClaims(&'a str, &'a str) -> Result<configuration::Preview, configuration::Problem>;
    Probe(&'a str) -> Vec<configuration::Finding>;
    TestConnection(&'a str) -> Vec<configuration::Finding>;
    NextPage(&'a str, &'a [directory::Collection], Option<&'a str>) -> Result<directory::Page, directory::Failure>;
    Present(&'a str, &'a [directory::Object]) -> Result<Vec<directory::Presence>, directory::Failure>;
    Prepare(&'a [String]) -> u32;
    Person(&'a str, &'a str, u32) -> Result<Option<directory::PersonState>, directory::Failure>;
}

/// Where a component has its functions.
pub(super) struct Exports {
    pub(super) version: ContractVersion,
    places: [Option<ComponentExportIndex>; Export::ALL.len()],
}

impl Exports {
    /// Finds the functions of the latest version that the component has. The error names the first that is missing.
    pub(super) fn find(component: &Component) -> Result<Self, String> {
        let latest = ContractVersion::ALL
            .into_iter()
            .find(|version| component.get_export_index(None, version.name("login").as_str()).is_some());
        let version = latest.ok_or_else(|| {
            let known = ContractVersion::ALL.map(|version| version.name("login")).join(" nor ");
            format!("it exports neither {known}")
        })?;
        let mut places = [const { None }; Export::ALL.len()];
        for (place, export) in places.iter_mut().zip(Export::ALL) {
            if export.interface() == "directory" && !version.has_directory() {
                continue;
            }
            let interface = version.name(export.interface());
            let found = component
                .get_export_index(None, interface.as_str())
                .and_then(|instance| component.get_export_index(Some(&instance), export.as_str()));
            // The one that a plugin may have or not.
            if export == Export::Prepare {
                *place = found;
                continue;
            }
            let missing = || format!("it doesn't export {} of {interface}", export.as_str());
            *place = Some(found.ok_or_else(missing)?);
        }
        Ok(Self { version, places })
    }

    /// Whether the component has it.
    pub(super) fn has(&self, export: Export) -> bool {
        self.place(export).is_some()
    }

    fn place(&self, export: Export) -> Option<&ComponentExportIndex> {
        self.places.get(export as usize).and_then(Option::as_ref)
    }

    /// Holds every function of an instance against the contract's types.
    pub(super) fn check_types(&self, instance: &Instance, store: &mut impl AsContextMut) -> wasmtime::Result<()> {
        check_all(self, instance, store)
    }

    fn check<E: Exported>(&self, instance: &Instance, store: &mut impl AsContextMut) -> wasmtime::Result<()> {
        let Some(place) = self.place(E::EXPORT) else { return Ok(()) };
        let typed = instance.get_typed_func::<E::Parameters<'_>, (E::Answer,)>(store, place);
        typed.map(drop).with_context(|| E::EXPORT.as_str())
    }

    /// Calls a function of an instance of that component.
    pub(super) async fn call<E: Exported>(
        &self,
        instance: &Instance,
        store: &mut wasmtime::Store<CallState>,
        parameters: E::Parameters<'_>,
    ) -> wasmtime::Result<E::Answer> {
        let place = self.place(E::EXPORT).with_context(|| format!("no {} in this version", E::EXPORT.as_str()))?;
        let function = instance.get_typed_func::<E::Parameters<'_>, (E::Answer,)>(&mut *store, place)?;
        let (answer,) = function.call_async(&mut *store, parameters).await?;
        Ok(answer)
    }
}

/// A component that can be instantiated, and where its functions are.
pub(super) struct Linked {
    pub(super) pre: InstancePre<CallState>,
    pub(super) exports: Exports,
}

impl Linked {
    /// Of a component that this runtime's engine has compiled. The error says what it lacks, or what doesn't fit.
    pub(super) fn new(runtime: &Runtime, component: &Component) -> Result<Self, String> {
        let pre = runtime.linker().instantiate_pre(component).map_err(|error| format!("{error:#}"))?;
        Ok(Self { exports: Exports::find(component)?, pre })
    }
}
