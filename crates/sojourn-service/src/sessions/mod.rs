//! Sessions: what happens to them once they are open.

pub mod record_ends;
pub mod revoke;
