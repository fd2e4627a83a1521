//! Warnings about settings that are valid but may surprise the operator.

use std::time::Duration;

use serde::Serialize;

use super::{Settings, registry::is_below};
use crate::{lifetime::BROWSER_LIMIT, template::unknown_shortcodes};

const INACTIVITY: &str = "session_settings.inactivity_timeout";
const MAXIMUM: &str = "session_settings.maximum_lifetime";
const CLAIMS: &str = "session.claims";
const TOKEN_LIFETIME: &str = "session.lifetime";

/// A warning about accepted settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable identifier.
    pub code: &'static str,
    /// The explanation for the operator.
    pub message: String,
    /// The settings or tables that cause the warning.
    #[serde(skip)]
    about: &'static [&'static str],
}

impl Warning {
    /// Whether the warning concerns a setting, or a setting inside a table.
    pub fn is_about(&self, path: &str) -> bool {
        self.about.iter().any(|about| *about == path || is_below(path, about) || is_below(about, path))
    }
}

impl Settings {
    pub fn warnings(&self) -> Vec<Warning> {
        let lifetime = self.session.lifetime();
        let mut warnings = Vec::new();
        let mut warn = |code, about, message: String| warnings.push(Warning { code, message, about });
        if [lifetime.inactivity(), lifetime.maximum()].into_iter().flatten().any(|span| span > BROWSER_LIMIT)
        {
            warn(
                "beyond_browser_limit",
                &[INACTIVITY, MAXIMUM],
                "browsers keep no cookie longer than 400 days, so users who do not come back within that time are signed out whatever this setting says".to_owned(),
            );
        }
        let token = Duration::from_secs(self.token.lifetime.into());
        if lifetime.inactivity().is_some_and(|span| span < 2 * token) {
            warn(
                "inactivity_below_token_lifetime",
                &[INACTIVITY, TOKEN_LIFETIME],
                format!(
                    "an open tab refreshes its token about every {} s; an inactivity timeout below twice that signs active users out",
                    self.token.lifetime
                ),
            );
        }
        if self.token.lifetime > 60 {
            warn(
                "token_outlives_revocation",
                &[TOKEN_LIFETIME],
                format!(
                    "a revoked session's token is accepted for up to {} s by applications that verify it on their own",
                    self.token.lifetime
                ),
            );
        }
        if self.token.claims.contains_key("aud") {
            warn(
                "aud_claim",
                &[CLAIMS],
                "the Python and Rust SDKs refuse tokens with an aud claim unless they are told the audience"
                    .to_owned(),
            );
        }
        for unknown in unknown_shortcodes(&self.token.claims) {
            let meant = unknown.nearest.map_or_else(
                || "docs/session-tokens.md lists those that there are".to_owned(),
                |nearest| format!("did you mean {{{{{nearest}}}}}?"),
            );
            warn(
                "unknown_shortcode",
                &[CLAIMS],
                format!("{{{{{}}}}} in the claims is null in every token; {meant}", unknown.path),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_claim_that_is_always_null_is_warned_of() {
        let mut settings = Settings::initial(Timestamp::from_millis(0));
        settings.token.claims.insert("a".to_owned(), "{{user.fullname}} {{nonsense.path}}".into());
        let warnings = settings.warnings();
        let said: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(
            said,
            [
                "{{user.fullname}} in the claims is null in every token; did you mean {{user.full_name}}?",
                "{{nonsense.path}} in the claims is null in every token; docs/session-tokens.md lists those that there are",
            ]
        );
        assert!(warnings[0].is_about("session") && warnings[0].is_about("session.claims"));
        assert!(!warnings[0].is_about("session.lifetime") && !warnings[0].is_about("session_settings"));
    }
}
