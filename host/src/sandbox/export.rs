//! The names of what a plugin exports, as errors and metrics say them.

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
}

impl Export {
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
        }
    }
}
