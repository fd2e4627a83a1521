//! For tests: an application in one process, with a clock that the test controls, and browsers that
//! handle cookies like real ones.
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
//! The clock is fixed and randomness is seeded: a test sees the same ids in each run, so a complete
//! response can be a snapshot. Not for use outside tests.

mod answer;
mod app;
mod backend;
mod browser;
mod builder;
mod clock;
mod home;
mod jar;
mod mail_server;
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
pub use mail_server::{MAIL_USER, MailServer};
pub use request::Request;
pub use seed::{PASSWORD, WRONG_PASSWORD};
pub use sojourn_core::time::{days, minutes, seconds};

/// The origin of the page in a test's browser.
pub const APP_ORIGIN: &str = "http://localhost:3000";
/// The URL of the server in tests.
pub const BASE_URL: &str = "http://localhost:4000";
