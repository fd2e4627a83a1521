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
//! - The field `object` is `pub object: Kind<Self>` with
//!   `#[schema(schema_with = crate::kind::schema::<Self>)]`, and its word stands in
//!   [`named!`](macro@named) below the types.
//! - A request's `Option` may be left out or null.
//! - The doc comment of a type or field becomes its description in the document; fields whose name
//!   says all have none.

mod attempts;
mod audit;
mod client;
mod dev;
mod environment;
mod error;
mod instance;
mod kind;
mod list;
mod mail;
mod requests;
mod session;
mod settings;
mod tickets;
mod time;
mod user;
mod user_export;
mod user_import;
mod verification;
mod webhooks;

pub use attempts::*;
pub use audit::*;
pub use client::*;
pub use dev::*;
pub use environment::*;
pub use error::*;
pub use instance::*;
pub use kind::*;
pub use list::*;
pub use mail::*;
pub use requests::*;
pub use session::*;
pub use settings::*;
pub use tickets::*;
pub use time::*;
pub use user::*;
pub use user_export::*;
pub use user_import::*;
pub use verification::*;
pub use webhooks::*;
