//! The requests and answers of the HTTP API as types. The server renders them, the command line
//! reads them, and the OpenAPI document (`openapi/sojourn.json`) has their schemas.
//!
//! Conventions, one module per noun:
//!
//! - A type derives `Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema`. Its name is the
//!   schema's name, so it is unique in the crate.
//! - This crate knows no rules and no other crate of ours: ids are `String`, points in time are
//!   [`UnixMillis`]. The server converts from the core's types in `sojourn-server/src/wire`.
//! - An answer's field that can be empty is an `Option`: always present, null when empty. One that
//!   is left out instead has `#[serde(skip_serializing_if = "Option::is_none")]` and
//!   `#[schema(nullable = false)]`. The document lists all others as required.
//! - The field `object` is `#[schema(inline)] pub object: Object<Self>`, with its word in
//!   [`named!`](macro@named) below the type.
//! - The doc comment of a type or field becomes its description in the document; fields whose name
//!   says all have none.

mod error;
mod object;
mod time;

pub use error::{ApiErrorItem, ErrorAnswer};
pub use object::{Named, Object};
pub use time::UnixMillis;
