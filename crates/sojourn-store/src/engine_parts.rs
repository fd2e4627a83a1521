//! Parts for engines outside this crate, so that they behave like the engines here.

pub use crate::{
    activity::{Activity, Batch, coarseness},
    engine::with_every_call,
    outbox::entries,
    records::{policy_of, search_text, users_of},
};
