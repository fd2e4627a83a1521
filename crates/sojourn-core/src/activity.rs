//! The only definition of what counts as activity of a session (S3).

use serde::{Deserialize, Serialize};

/// The kind of a request, as far as it shows that the user is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivitySource {
    SignIn,
    /// A browser requests a new session token, about every 43 s while the application is open.
    Token {
        /// The tab reports that it is hidden.
        /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Session.ts `tab_state`
        hidden: bool,
    },
    /// The tab became visible, or the user switched to this account.
    Touch,
    /// A navigation to the application that was redirected here for a new token.
    Handshake,
    /// A page load, which requests the client. It counts for the active session.
    PageLoad,
    /// Any other read by a browser.
    Read,
    /// A request by the application's backend.
    Backend,
}

/// The setting that decides whether hidden tabs keep a session alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Every token refresh counts, as with the vendor: a session becomes inactive when the
    /// application is closed.
    #[default]
    Token,
    /// A token refresh by a hidden tab does not count.
    Visible,
}

impl Activity {
    /// Whether `source` updates the session's last activity.
    pub const fn counts(self, source: ActivitySource) -> bool {
        match (source, self) {
            (ActivitySource::Token { hidden: true }, Self::Visible)
            | (ActivitySource::Read | ActivitySource::Backend, _) => false,
            (
                ActivitySource::SignIn
                | ActivitySource::Token { .. }
                | ActivitySource::Touch
                | ActivitySource::Handshake
                | ActivitySource::PageLoad,
                _,
            ) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_only_what_the_user_does_is_activity() {
        for activity in [Activity::Token, Activity::Visible] {
            for source in [
                ActivitySource::SignIn,
                ActivitySource::Touch,
                ActivitySource::Handshake,
                ActivitySource::PageLoad,
                ActivitySource::Token { hidden: false },
            ] {
                assert!(activity.counts(source), "{source:?}");
            }
            assert!(!activity.counts(ActivitySource::Read) && !activity.counts(ActivitySource::Backend));
        }
    }

    #[test]
    fn s3_a_hidden_tab_is_activity_unless_switched_off() {
        assert!(Activity::Token.counts(ActivitySource::Token { hidden: true }));
        assert!(!Activity::Visible.counts(ActivitySource::Token { hidden: true }));
    }
}
