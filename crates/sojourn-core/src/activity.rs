//! What counts as activity of a session (S3): the one place that says so.

use serde::{Deserialize, Serialize};

/// The kind of a request, as far as it may be a sign that the user is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivitySource {
    /// Signing in.
    SignIn,
    /// A browser asks for a fresh session token, about every 43 s while the
    /// application is open.
    Token {
        /// The tab says of itself that nobody can see it.
        /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Session.ts `tab_state`
        hidden: bool,
    },
    /// The tab came to the front, or the user switched to this account.
    Touch,
    /// A navigation to the application that came here for a fresh token.
    Handshake,
    /// A page load, which asks for the client: of the session that it gets as
    /// the active one.
    PageLoad,
    /// Any other read of a browser.
    Read,
    /// Anything the application's server asks.
    Backend,
}

/// The setting: whether tabs in the background keep a session alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Every refresh of the token counts, as with the vendor: a session is
    /// inactive when the application is closed.
    #[default]
    Token,
    /// A refresh by a tab that says it is hidden does not count.
    Visible,
}

impl Activity {
    /// Whether `source` moves the session's last activity.
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
