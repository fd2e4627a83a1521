//! Parts for engines outside this crate, so that they behave like the engines here.

pub use crate::{
    activity::{Activity, Batch, coarseness},
    outbox::entries,
    records::{policy_of, search_text, users_of},
};
