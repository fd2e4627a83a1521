//! Session tokens: what the core says of them, signed. Browsers and
//! application servers ask for them on different paths and get the same.

use sojourn_core::{
    claims::{self, TokenRequest, TooLate},
    policy::Policy,
    session::Session,
    settings::TokenSettings,
    time::Moment,
    user::User,
};

use crate::{instance::Service, keys::random_hex};

/// For whom and under what a token is minted.
#[derive(Clone, Copy, Debug)]
pub struct TokenContext<'a> {
    /// The request's one reading of the clocks.
    pub at: Moment,
    /// The application's origin, if it is known: `azp`.
    pub origin: Option<&'a str>,
    /// All versions of the session settings.
    pub policy: &'a Policy,
    /// The token's settings.
    pub settings: &'a TokenSettings,
    /// Seconds it shall live, instead of the setting's.
    pub lifetime_seconds: Option<u32>,
}

/// A session token for `session`.
///
/// # Errors
/// [`TooLate`] when less than a second of the session is left.
pub fn issue_token<'a>(
    service: &Service,
    occasion: impl Into<TokenContext<'a>>,
    session: &Session,
    user: Option<&User>,
) -> Result<String, TooLate> {
    let occasion = occasion.into();
    let request = TokenRequest {
        now: occasion.at.now,
        wall: occasion.at.wall,
        issuer: &service.issuer(),
        origin: occasion.origin,
        jti: random_hex(&mut service.random(), 10),
        lifetime_seconds: occasion.lifetime_seconds,
    };
    let claims = claims::issue_token(request, occasion.policy, occasion.settings, session, user)?;
    if claims.is_cut() {
        service.cut_claims().count(session.user_id);
        tracing::warn!(user_id = %session.user_id, "this user's custom claims are too large for a cookie and were left out");
    }
    Ok(service.signer().sign(claims::SESSION_CATEGORY, Some(claims.issued_at()), &claims))
}
