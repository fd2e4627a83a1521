//! The handshake: a browser opens the application with an expired or missing session token, is
//! redirected to this server, and returns with a nonce that the application redeems for cookies.
//!
//! The nonce identifies the client and the session. The token is issued only when the application
//! redeems the nonce, so a session that ended in between gets none (D5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    cookie::{CLIENT_UAT, Cookie, CookieNames, HANDSHAKE, HANDSHAKE_NONCE, SESSION},
    id::{ClientId, SessionId},
    time::{Timestamp, seconds},
};

/// How long a nonce can be redeemed (COK-08).
pub const NONCE_LIFETIME: Duration = seconds(60);

/// The data behind a nonce. The nonce itself is stored as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The client, if the browser had a valid client cookie.
    pub client_id: Option<ClientId>,
    /// The session of the token, if one is open.
    pub session_id: Option<SessionId>,
    /// The origin of the application: `azp` of the token, and whether the cookies are `Secure`.
    pub origin: String,
    pub expires_at: Timestamp,
}

/// The cookies that the application sets after the handshake. Removals come first and values last,
/// because the SDKs use the last `__session*` line.
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
    // Without a token `__client_uat` must be 0: a positive value without a session token makes the
    // SDKs start another handshake on every page.
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
