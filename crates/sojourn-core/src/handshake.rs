//! The handshake: a browser arrives at the application with a stale or missing
//! token, is sent here, and goes back with what it may carry.
//!
//! A nonce stores *who*, and the token is minted only when the application
//! redeems it, so a session that ends in between gets none (D5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    cookie::{CLIENT_UAT, Cookie, CookieNames, HANDSHAKE, HANDSHAKE_NONCE, SESSION},
    id::{ClientId, SessionId},
    time::{Timestamp, seconds},
};

/// How long a nonce may be redeemed (COK-08).
pub const NONCE_LIFETIME: Duration = seconds(60);

/// What a nonce stands for. The nonce itself is stored as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The browser, if it is known.
    pub client_id: Option<ClientId>,
    /// The session it gets, if one is open.
    pub session_id: Option<SessionId>,
    /// The origin it goes back to: `azp` of the token, and whether cookies are `Secure`.
    pub origin: String,
    /// No longer redeemable from then on.
    pub expires_at: Timestamp,
}

/// The cookies that the application sets for a browser that comes back:
/// removals first, values last, because SDKs take the last `__session*` line.
/// Compat: clerk/javascript packages/backend/src/tokens/handshake.ts
pub fn directives(
    names: &CookieNames,
    token: Option<&str>,
    client_uat: i64,
    secure: bool,
    uat_domain: Option<&str>,
) -> Vec<Cookie> {
    let mut cookies: Vec<Cookie> = [HANDSHAKE, HANDSHAKE_NONCE]
        .map(|name| Cookie::removal(name, secure).on_domain(uat_domain))
        .into_iter()
        .collect();
    // No token, no sign of one either: a uat above zero without a session
    // token means another handshake on every page.
    let uat = if token.is_some() { client_uat } else { 0 };
    for name in names.both(CLIENT_UAT) {
        cookies.push(Cookie::lasting(name, uat.to_string(), secure).on_domain(uat_domain));
    }
    for name in names.both(SESSION) {
        cookies.push(match token {
            Some(token) => Cookie::lasting(name, token, secure).for_at_most(seconds(31_536_000)),
            None => Cookie::removal(name, secure),
        });
    }
    cookies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(token: Option<&str>) -> Vec<String> {
        let names = CookieNames::new("gheHP-5P", true);
        directives(&names, token, 1_795_421_164, false, None).iter().map(Cookie::to_string).collect()
    }

    #[test]
    fn a_signed_in_handshake_sets_both_names_to_equal_values() {
        assert_eq!(
            lines(Some("JWT")),
            [
                "__clerk_handshake=; Path=/; Max-Age=0; SameSite=Lax",
                "__clerk_handshake_nonce=; Path=/; Max-Age=0; SameSite=Lax",
                "__client_uat=1795421164; Path=/; Max-Age=34560000; SameSite=Lax",
                "__client_uat_gheHP-5P=1795421164; Path=/; Max-Age=34560000; SameSite=Lax",
                "__session=JWT; Path=/; Max-Age=31536000; SameSite=Lax",
                "__session_gheHP-5P=JWT; Path=/; Max-Age=31536000; SameSite=Lax",
            ]
        );
    }

    #[test]
    fn a_signed_out_handshake_sets_uat_zero_and_no_token() {
        let lines = lines(None);
        assert!(lines.iter().any(|line| line.starts_with("__client_uat=0;")));
        assert!(lines.iter().any(|line| line.starts_with("__session=; Path=/; Max-Age=0")));
    }
}
