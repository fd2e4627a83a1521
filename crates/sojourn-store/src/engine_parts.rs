//! What an engine outside this crate is made of, so that it means the same as ours.

pub use crate::{
    activity::{Activity, Batch, coarseness},
    outbox::entries,
    records::{policy_of, search_text, users_of},
};
