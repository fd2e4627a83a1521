//! One file per system whose exports are read.

pub mod auth0;
mod clerk;
mod django;
mod encoding;
pub mod firebase;
mod keycloak;
mod supabase;
mod wordpress;

use serde_json::{Map, Value};

use super::{Candidate, Format, Options};

/// How one system's records are read.
pub(super) struct Source {
    /// The account of a record; `None` if the record is of another kind.
    pub candidate: fn(&Map<String, Value>, &Options) -> Option<Candidate>,
}

pub(super) fn of(format: Format) -> Source {
    Source {
        candidate: match format {
            Format::ClerkCsv => clerk::of_csv,
            Format::ClerkJson => clerk::of_json,
            Format::Auth0 => auth0::candidate,
            Format::Firebase => firebase::candidate,
            Format::Supabase => supabase::candidate,
            Format::Django => django::candidate,
            Format::Keycloak => keycloak::candidate,
            Format::Wordpress => wordpress::candidate,
        },
    }
}

/// The columns of a file without a header that every version of the exporter writes.
pub(super) const FEWEST_COLUMNS: usize = 26;

/// The names of the columns of a CSV file without a header.
pub(super) const fn columns(format: Format) -> &'static [&'static str] {
    match format {
        Format::Firebase => &firebase::COLUMNS,
        _ => &[],
    }
}
