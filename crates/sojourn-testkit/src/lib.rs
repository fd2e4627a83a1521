//! For tests: an application in one process, on a clock that the test moves,
//! and browsers that keep cookies as browsers do.
//!
//! ```no_run
//! # async fn story() {
//! use sojourn_testkit::{TestApp, minutes};
//!
//! let app = TestApp::new().inactivity(minutes(30)).start().await;
//! let alice = app.signed_in("alice@example.com").await;
//! app.clock.advance(minutes(29));
//! alice.touch(&alice.session()).await.assert_ok();
//! # }
//! ```
//!
//! A fixed clock and seeded randomness: the same test sees the same ids each time,
//! so that a whole answer can be a snapshot. Not for use outside tests.

mod answer;
mod app;
mod backend;
mod browser;
mod builder;
mod clock;
mod home;
mod jar;
pub mod memory;
#[path = "../../sojourn-store/tests/support/postgres.rs"]
mod postgres;
mod request;
mod schema;
mod seed;
pub mod sim;

pub use answer::Answer;
pub use app::TestApp;
pub use backend::Backend;
pub use browser::FakeBrowser;
pub use builder::Builder;
pub use clock::{ManualClock, START};
pub use jar::{Jar, StoredCookie};
pub use request::Request;
pub use seed::{PASSWORD, WRONG_PASSWORD};
pub use sojourn_core::time::{days, minutes, seconds};

/// The page that browsers of a test stand on.
pub const APP_ORIGIN: &str = "http://localhost:3000";
/// Where the server of a test is.
pub const BASE_URL: &str = "http://localhost:4000";
