//! What a session token says, version 2 of the claims, and the tokens of
//! handshakes: the payload only. Signing is the shell's business.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    impersonation::Impersonation,
    policy::Policy,
    session::{Session, Verdict, decide},
    settings::TokenSettings,
    template::{self, Scope},
    time::Timestamp,
    user::User,
};

/// JOSE header `cat` of session tokens: kinds of token cannot pass for each
/// other (JWT-04). Compat: clerk/javascript packages/backend/src/tokens/jwtCategories.ts
pub const SESSION_CATEGORY: &str = "cl_B7d4PD111AAA";

/// The payload of a session token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionClaims {
    /// Claims of one's own first: a reserved name can then never be shadowed.
    #[serde(flatten)]
    custom: Map<String, Value>,
    /// Whether claims of one's own were left out, see [`Self::is_cut`].
    #[serde(skip)]
    is_cut: bool,
    /// Who really acts, where somebody acts as the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Map<String, Value>>,
    /// The origin that asked, if it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<String>,
    exp: i64,
    /// Minutes since the first and the second factor were verified; -1: never.
    fva: [i64; 2],
    iat: i64,
    iss: String,
    jti: String,
    nbf: i64,
    sid: String,
    sts: &'static str,
    sub: String,
    v: u8,
}

/// What a token is minted from, beside the session.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// The session clock: limits are judged by it.
    pub now: Timestamp,
    /// The wall clock: `iat`, `nbf` and `exp` are told by it. The same as
    /// `now` but for the test clock.
    pub wall: Timestamp,
    /// `https://` and the host of the publishable key.
    pub issuer: &'a str,
    /// The origin of the request.
    pub origin: Option<&'a str>,
    /// Unique to the token.
    pub jti: String,
    /// Seconds it shall live, instead of the setting's.
    pub lifetime_seconds: Option<u32>,
}

/// No token is minted any more: the session is over, or lives for less than
/// the second in which a token is told (D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// How long the session lives on without activity, if that is long enough for
/// a token: at least the second in which one is told.
pub fn time_left(now: Timestamp, policy: &Policy, session: &Session) -> Option<Duration> {
    match decide(now, policy, session) {
        Verdict::Open { until, .. } => Some(until.since(now)).filter(|left| left.as_secs() >= 1),
        Verdict::Closed(_) => None,
    }
}

/// The claims of a token for `session`. It never outlives the session: `exp`
/// is cut at the session's deadline, in whole seconds.
///
/// `user` is needed only where `settings` has claims of one's own.
///
/// # Errors
/// [`TooLate`] when less than a second of the session is left.
pub fn issue_token(
    request: TokenRequest<'_>,
    policy: &Policy,
    settings: &TokenSettings,
    session: &Session,
    user: Option<&User>,
) -> Result<SessionClaims, TooLate> {
    let left = time_left(request.now, policy, session).ok_or(TooLate)?;
    let iat = request.wall.as_secs();
    let lifetime = i64::from(request.lifetime_seconds.unwrap_or(settings.lifetime));
    let deadline = (request.wall + left).as_secs();
    let exp = (iat + lifetime).min(deadline);
    if exp <= iat {
        return Err(TooLate);
    }
    let own = session.impersonation.as_ref();
    let custom = match user {
        Some(user) if !settings.claims.is_empty() => {
            template::render(&settings.claims, &Scope::of_session(user, session, policy))
        }
        _ => Map::new(),
    };
    // A cookie above 4 KB is dropped by browsers, and nobody is signed in then. As
    // base64url, with the other claims and a signature, so much fits into one.
    let most = (template::MAX_BYTES * 9 / 16).saturating_sub(own.map_or(0, Impersonation::bytes));
    let is_cut = serde_json::to_string(&custom).is_ok_and(|text| text.len() > most);
    Ok(SessionClaims {
        custom: if is_cut { Map::new() } else { custom },
        is_cut,
        act: own.map(|own| own.actor.clone()),
        azp: request.origin.filter(|origin| *origin != "null").map(str::to_owned),
        exp,
        fva: session.factor_ages(request.now),
        iat,
        iss: request.issuer.to_owned(),
        jti: request.jti,
        nbf: iat - i64::from(settings.allowed_clock_skew),
        sid: session.id.to_string(),
        sts: "active",
        sub: session.user_id.to_string(),
        v: 2,
    })
}

impl SessionClaims {
    /// Whether this user's claims of one's own were too large for a cookie and
    /// were left out (TPL-02, COK-04): worth telling the operator.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Seconds since the epoch at which the token is over.
    pub const fn expires_at(&self) -> i64 {
        self.exp
    }

    /// Seconds since the epoch at which the claims were assembled.
    pub const fn issued_at(&self) -> i64 {
        self.iat
    }
}
