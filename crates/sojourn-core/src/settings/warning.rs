//! What an operator should think about in settings that were accepted.

use std::time::Duration;

use serde::Serialize;

use super::Settings;
use crate::lifetime::BROWSER_LIMIT;

/// Something to think about in settings that were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable name.
    pub code: &'static str,
    /// What it means, for people.
    pub message: String,
}

impl Settings {
    /// What an operator should know about these settings.
    pub fn warnings(&self) -> Vec<Warning> {
        let lifetime = self.session.lifetime;
        let mut warnings = Vec::new();
        let mut warn = |code, message: String| warnings.push(Warning { code, message });
        if [lifetime.inactivity(), lifetime.maximum()].into_iter().flatten().any(|span| span > BROWSER_LIMIT)
        {
            warn(
                "beyond_browser_limit",
                "browsers keep no cookie longer than 400 days, so users who do not come back within that time are signed out whatever this setting says".to_owned(),
            );
        }
        let token = Duration::from_secs(self.token.lifetime.into());
        if lifetime.inactivity().is_some_and(|span| span < 2 * token) {
            warn(
                "inactivity_below_token_lifetime",
                format!(
                    "an open tab refreshes its token about every {} s; an inactivity timeout below twice that signs active users out",
                    self.token.lifetime
                ),
            );
        }
        if self.token.lifetime > 60 {
            warn(
                "token_outlives_revocation",
                format!(
                    "a revoked session's token is accepted for up to {} s by applications that verify it on their own",
                    self.token.lifetime
                ),
            );
        }
        if self.token.claims.contains_key("aud") {
            warn(
                "aud_claim",
                "the Python and Rust SDKs refuse tokens with an aud claim unless they are told the audience"
                    .to_owned(),
            );
        }
        warnings
    }
}
