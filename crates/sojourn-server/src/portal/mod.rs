//! The hosted pages (sign-in, sign-up, user profile, index), the development mailbox, and the
//! official browser bundles that they use.
//!
//! Most modules are pure functions of data or stateless handlers; `routes` adds the application's
//! state.

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

/// The routes without state: `/npm/…`, `/portal/…` and `/favicon.ico`.
pub fn static_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/npm/{*path}", get(serve_bundle))
        .route("/portal/{file}", get(serve_static))
        .route("/favicon.ico", get(serve_favicon))
}
