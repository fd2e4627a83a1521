//! The hosted pages: sign-in, sign-up, user profile, the index and the
//! development mailbox, and the official browser bundles they run on.
//!
//! Everything here is a pure function of data, or a handler without state; the
//! routes that need the application's state are put around it elsewhere.

pub mod bundles;
mod ended;
pub mod headers;
pub mod mailbox;
pub mod mailbox_page;
mod negotiation;
pub mod pages;
mod refusal;
mod routes;
pub mod static_files;

pub use bundles::serve_bundle;
pub use ended::EndedNotice;
pub use headers::{fresh_nonce, portal_headers};
pub use mailbox_page::{MailboxEntry, render_mailbox, render_mailbox_locked};
pub use pages::{IndexPage, PortalPage, PortalView, render_index, render_portal};
pub use routes::{home_url, router};
pub use static_files::{serve_favicon, serve_static};

use axum::Router;
use axum::routing::get;

/// The routes that need no state: `/npm/…`, `/portal/…` and `/favicon.ico`.
pub fn static_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/npm/{*path}", get(serve_bundle))
        .route("/portal/{file}", get(serve_static))
        .route("/favicon.ico", get(serve_favicon))
}
