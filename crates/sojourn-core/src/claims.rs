//! The payloads of session tokens (version 2 of the claims) and of handshake tokens.
//! `sojourn-service` signs them.

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

/// The JOSE header `cat` of session tokens. It stops a token of one kind from being accepted as
/// another (JWT-04).
/// Compat: clerk/javascript packages/backend/src/tokens/jwtCategories.ts
pub const SESSION_CATEGORY: &str = "cl_B7d4PD111AAA";

/// The payload of a session token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionClaims {
    // First, so that a reserved claim with the same name would follow it and win.
    #[serde(flatten)]
    custom: Map<String, Value>,
    /// Whether the custom claims were left out, see [`Self::is_cut`].
    #[serde(skip)]
    is_cut: bool,
    /// The actor, for an impersonation session.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Map<String, Value>>,
    /// The origin of the request, if it has one.
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

/// The input of a token besides the session.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// The session clock, for the session limits.
    pub now: Timestamp,
    /// The wall clock, for `iat`, `nbf` and `exp`. It equals `now` without a test clock.
    pub wall: Timestamp,
    /// `https://` and the host of the publishable key.
    pub issuer: &'a str,
    pub origin: Option<&'a str>,
    /// Unique per token.
    pub jti: String,
    /// The token lifetime in seconds; `None` uses the setting.
    pub lifetime_seconds: Option<u32>,
}

/// No token is issued: the session is over, or less than the second that a token's times can
/// express is left (D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// The remaining lifetime of the session without further activity, if a token can be issued. A
/// token needs at least one second, the resolution of its times.
pub fn time_left(now: Timestamp, policy: &Policy, session: &Session) -> Option<Duration> {
    match decide(now, policy, session) {
        Verdict::Open { until, .. } => Some(until.since(now)).filter(|left| left.as_secs() >= 1),
        Verdict::Closed(_) => None,
    }
}

/// The claims of a token for `session`. The token never outlives the session: `exp` is at most the
/// session's deadline, in whole seconds.
///
/// `user` is needed only if `settings` has custom claims.
///
/// # Errors
/// [`TooLate`] if less than a second of the session is left.
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
    // Browsers drop a cookie above 4 KB, which would sign the user out. 9/16 of it are 2,304 bytes,
    // or 3,072 as base64url: 1,024 remain for the header, the other claims and the signature.
    let most = (template::MAX_BYTES * 9 / 16).saturating_sub(own.map_or(0, Impersonation::bytes));
    let is_cut = serde_json::to_string(&custom).is_ok_and(|text| text.len() > most);
    Ok(SessionClaims {
        custom: if is_cut { Map::new() } else { custom },
        is_cut,
        act: own.map(|own| own.actor.clone()),
        // Sandboxed frames and file: pages send "null", which identifies no origin.
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
    /// Whether this user's custom claims were too large for a cookie and were left out (TPL-02,
    /// COK-04). The caller logs a warning.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// `exp`, in seconds since the epoch.
    pub const fn expires_at(&self) -> i64 {
        self.exp
    }

    /// `iat`, in seconds since the epoch.
    pub const fn issued_at(&self) -> i64 {
        self.iat
    }
}
