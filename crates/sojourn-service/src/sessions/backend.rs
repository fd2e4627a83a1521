//! Requests by the application's backend about sessions and clients. They never count as activity
//! (S3).

use serde_json::Value;
use sojourn_core::{
    audit::{Act, Action, AuditContext},
    claims::{SESSION_CATEGORY, SessionClaims},
    client::{Client, ClientWithSessions, Identity, NewSession, SecretHash, admit, close_overdue},
    handshake::Handshake,
    id::{ClientId, SessionId, UserId},
    policy::Policy,
    session::{Device, Session},
    time::Moment,
};
use sojourn_store::{ChangeSet, Engine as _, Expect, Write};

use super::record_ends::find;
use crate::{
    instance::Service,
    keys::{random_secret, sha256},
    outcome::{Failure, Reason},
    tokens::{TokenContext, session_claims},
};

/// Why a request by the application's backend is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendError {
    NoSession,
    SessionOver,
    /// The token is not one of the session, or one of the two is over.
    NotItsToken,
    /// There is no such client, or this is not its current secret.
    NoClient,
    /// The handshake does not exist or has expired.
    NoHandshake,
    NoUser,
    Banned,
    /// A new client did not admit the session: a bug.
    NotAdmitted,
}

impl Reason for BackendError {}

/// The claims of a new token of a session, with the default lifetime or `lifetime_seconds`, but
/// never beyond the session's end (D9).
///
/// # Errors
/// [`BackendError::NoSession`], [`BackendError::SessionOver`].
pub async fn token(
    service: &Service,
    id: Option<SessionId>,
    lifetime_seconds: Option<u32>,
) -> Result<SessionClaims, Failure<BackendError>> {
    let id = id.ok_or(BackendError::NoSession)?;
    let at = service.moment();
    service
        .retry_on_conflict(|| async {
            let session = service.store().session(service.instance_id(), id).await?;
            let client_id = session.ok_or(BackendError::NoSession)?.client_id;
            let record = service.store().browser(service.instance_id(), client_id).await?;
            let record = record.ok_or(BackendError::SessionOver)?;
            let step = close_overdue(at, &record.policy, &record.browser);
            service.commit(service.changes(at).browser(&step)).await?;
            let session = step.browser.sessions.iter().find(|session| session.id == id);
            let session = session.ok_or(BackendError::SessionOver)?;
            let context = TokenContext {
                at,
                // The application that uses the session: the request comes from its backend and has
                // no origin.
                origin: record.browser.client.last_origin.as_deref(),
                policy: &record.policy,
                settings: &record.settings.token,
                lifetime_seconds,
            };
            let claims = session_claims(service, context, session, record.user(session.user_id));
            Ok(claims.map_err(|_| BackendError::SessionOver)?)
        })
        .await
}

/// How far another node's clock may be ahead of this one's.
const CLOCK_SKEW_SECONDS: i64 = 5;

/// The session whose token it is, and the policy by which it is open.
///
/// # Errors
/// [`BackendError::NoSession`], [`BackendError::NotItsToken`].
pub async fn verify_token(
    service: &Service,
    at: Moment,
    id: Option<SessionId>,
    token: &str,
) -> Result<(Session, Policy), Failure<BackendError>> {
    let id = id.ok_or(BackendError::NoSession)?;
    let (session, policy) = find(service, at, id).await?.ok_or(BackendError::NoSession)?;
    let wall = at.wall.as_secs();
    // A claim that is missing is as good as one that is wrong (JWT-05).
    let is_its = |claims: Value| {
        claims["iss"] == service.issuer()
            && claims["sub"] == session.user_id.to_string()
            && claims["sid"] == session.id.to_string()
            && claims["exp"].as_i64().is_some_and(|exp| wall < exp)
            && claims["nbf"].as_i64().is_some_and(|nbf| nbf <= wall + CLOCK_SKEW_SECONDS)
            && claims["iat"].as_i64().is_some_and(|iat| iat <= wall + CLOCK_SKEW_SECONDS)
    };
    let claims = service.verify_token(token, SESSION_CATEGORY);
    if session.closed.is_none() && claims.is_some_and(is_its) {
        return Ok((session, policy));
    }
    Err(BackendError::NotItsToken.into())
}

/// A client with its open sessions, and the policy by which they are open. With a
/// `secret` only if that is the client's current one.
///
/// # Errors
/// [`BackendError::NoClient`].
pub async fn client(
    service: &Service,
    at: Moment,
    id: Option<ClientId>,
    secret: Option<SecretHash>,
) -> Result<(ClientWithSessions, Policy), Failure<BackendError>> {
    let id = id.ok_or(BackendError::NoClient)?;
    service
        .retry_on_conflict(|| async {
            let record = service.store().browser(service.instance_id(), id).await?;
            let record = record.ok_or(BackendError::NoClient)?;
            let is_current = |secret: &SecretHash| {
                matches!(record.browser.client.identify(at.now, secret), Identity::Current { .. })
            };
            if !secret.as_ref().is_none_or(is_current) {
                return Err(BackendError::NoClient.into());
            }
            let step = close_overdue(at, &record.policy, &record.browser);
            service.commit(service.changes(at).browser(&step)).await?;
            Ok((step.browser, record.policy))
        })
        .await
}

/// The result of a redeemed handshake.
#[derive(Clone, Debug)]
pub struct RedeemedHandshake {
    pub handshake: Handshake,
    /// The claims of a token of the handshake's session, if that session is open.
    pub claims: Option<SessionClaims>,
    /// For `__client_uat`.
    pub client_uat: i64,
}

/// Redeems the nonce of a handshake. The token is issued now, only if the session is still open
/// (D5). Frameworks redeem a nonce twice for one page, so it can be redeemed again until it
/// expires.
/// Compat: clerk/javascript packages/backend/src/tokens/handshake.ts
///
/// # Errors
/// [`BackendError::NoHandshake`].
pub async fn redeem_handshake(
    service: &Service,
    nonce: &str,
) -> Result<RedeemedHandshake, Failure<BackendError>> {
    let at = service.moment();
    let handshake = service.store().handshake(service.instance_id(), sha256(nonce.as_bytes())).await?;
    let handshake =
        handshake.filter(|handshake| at.now < handshake.expires_at).ok_or(BackendError::NoHandshake)?;
    let (claims, client_uat) = service
        .retry_on_conflict(|| async {
            let Some(client_id) = handshake.client_id else { return Ok((None, 0)) };
            let record = service.store().browser(service.instance_id(), client_id).await?;
            let Some(record) = record else { return Ok((None, 0)) };
            let step = close_overdue(at, &record.policy, &record.browser);
            service.commit(service.changes(at).browser(&step)).await?;
            let named = |session: &&Session| Some(session.id) == handshake.session_id;
            let context = TokenContext {
                at,
                origin: Some(&handshake.origin),
                policy: &record.policy,
                settings: &record.settings.token,
                lifetime_seconds: None,
            };
            let claims = step.browser.sessions.iter().find(named).and_then(|session| {
                session_claims(service, context, session, record.user(session.user_id)).ok()
            });
            Ok::<_, Failure<BackendError>>((claims, step.browser.client_uat()))
        })
        .await?;
    Ok(RedeemedHandshake { handshake, claims, client_uat })
}

/// Creates a session of a user on a client without a browser, for tests. Returns the changes to
/// commit.
///
/// # Errors
/// [`BackendError::NoUser`], [`BackendError::Banned`].
pub async fn new_session(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    user_id: Option<UserId>,
) -> Result<(ChangeSet, Session, Policy), Failure<BackendError>> {
    let user_id = user_id.ok_or(BackendError::NoUser)?;
    let user = service.store().user(service.instance_id(), user_id).await?;
    let mut user = user.ok_or(BackendError::NoUser)?;
    if user.banned {
        return Err(BackendError::Banned.into());
    }
    let (settings, policy) = service.store().settings(service.instance_id()).await?;
    let fresh_secret = || SecretHash(sha256(random_secret(&mut service.random()).as_bytes()));
    let client_id = ClientId::generate(at.now, &mut service.random());
    let client = Client::new(client_id, fresh_secret(), at);
    let session_id = SessionId::generate(at.now, &mut service.random());
    let new_session = NewSession {
        session_id,
        user_id,
        device: Device::default(),
        impersonation: None,
        strategy: "admin".to_owned(),
        secret: fresh_secret(),
    };
    let browser = ClientWithSessions { client, sessions: Vec::new() };
    let step = admit(at, &policy, &browser, new_session).map_err(|_| BackendError::NotAdmitted)?;
    user.signed_in(at.now);
    let act = Act::on(Action::SessionCreated, session_id).field("user_id", (), user_id.to_string());
    let changes = service
        .act(at, context, act)
        .expect(Expect::Settings(settings.version))
        .browser(&step)
        .write(Write::User(user));
    Ok((changes, step.subject.ok_or(BackendError::NotAdmitted)?, policy))
}
