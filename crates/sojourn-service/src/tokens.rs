//! Session tokens: the claims of the core, signed. The Frontend API and the Backend API issue the
//! same tokens.
//!
//! Use cases return claims, and handlers sign them when they write the response: a signature costs
//! a thousand times the decision, and the simulator runs use cases without it.

use sojourn_core::{
    claims::{self, SessionClaims, TokenRequest, TooLate},
    policy::Policy,
    session::Session,
    settings::TokenSettings,
    time::Moment,
    user::User,
};
use sojourn_metrics::TOKENS;

use crate::{instance::Service, keys::random_hex};

/// The input of a token.
#[derive(Clone, Copy, Debug)]
pub struct TokenContext<'a> {
    /// The single reading of the clocks for the request.
    pub at: Moment,
    /// The origin of the application, if known: `azp`.
    pub origin: Option<&'a str>,
    pub policy: &'a Policy,
    pub settings: &'a TokenSettings,
    /// The token lifetime in seconds; `None` uses the setting.
    pub lifetime_seconds: Option<u32>,
}

/// The claims of a session token for `session`.
///
/// # Errors
/// [`TooLate`] if less than a second of the session is left.
pub fn session_claims<'a>(
    service: &Service,
    occasion: impl Into<TokenContext<'a>>,
    session: &Session,
    user: Option<&User>,
) -> Result<SessionClaims, TooLate> {
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
    Ok(claims)
}

/// A session token for `session`.
///
/// # Errors
/// As [`session_claims`].
pub fn issue_token<'a>(
    service: &Service,
    occasion: impl Into<TokenContext<'a>>,
    session: &Session,
    user: Option<&User>,
) -> Result<String, TooLate> {
    session_claims(service, occasion, session, user).map(|claims| service.sign(&claims))
}

impl Service {
    /// Signs a session token with these claims.
    pub fn sign(&self, claims: &SessionClaims) -> String {
        let signer = self.keyring().current(self.moment().wall);
        TOKENS.inc();
        signer.sign(claims::SESSION_CATEGORY, Some(claims.issued_at()), claims)
    }
}
