//! Accounts that a file has twice. Only hashes of the identifiers are kept: 16 bytes each.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::Row;

/// The identifiers of the records so far, each with its place.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    places: HashMap<u64, u64>,
}

impl Seen {
    /// The identifier that an earlier record has, too, and its place; otherwise the row is noted.
    pub(super) fn before(&mut self, row: &Row, place: u64) -> Option<(&'static str, u64)> {
        let emails = row.emails.iter().map(|email| ("email_address", self.hasher.hash_one(("email", email))));
        let id = row.external_id.iter().map(|id| ("external_id", self.hasher.hash_one(("id", id))));
        let hashes: Vec<_> = id.chain(emails).collect();
        let known = hashes.iter().find_map(|(what, hash)| Some((*what, *self.places.get(hash)?)));
        if known.is_none() {
            self.places.extend(hashes.into_iter().map(|(_, hash)| (hash, place)));
        }
        known
    }
}
