//! What is asked of a simulated node: the use cases of the service, as the server's handlers
//! call them. They decide; here it is only said which one an [`Ask`] means. Each is boxed:
//! without optimisation a future is copied at every `await` that hands it on.

use std::sync::OnceLock;

use sojourn_core::{
    activity::ActivitySource,
    audit::AuditContext,
    claims::SessionClaims,
    id::{ActorTokenId, Randomness as _, SessionId, SignInTokenId, UserId},
    impersonation::Impersonation,
    lifetime::BROWSER_LIMIT,
    session::{Device, EndReason, EndedBy, Ending},
    time::{Moment, minutes},
    user::PasswordHash,
};
use sojourn_service::{
    Failure, RequestContext, Service, Shown,
    account::{self, Named},
    browser::Credential,
    jobs::{purge, sweep},
    sessions::{self, backend, record_ends, revoke},
    sign_in,
    tickets::{self, NewTicket, TicketError},
    users::{self, UserPatch},
};
use sojourn_store::{CommitError, Engine as _};

use super::step::Ask;

/// The page that all browsers stand on.
const PAGE: &str = "http://localhost:3000";
/// How long a ticket is good.
const TICKET_KEPT: std::time::Duration = minutes(30);
/// The application asks for tokens that live so long.
pub const MINTED_SECONDS: u32 = 3600;

/// What an [`Ask`] means in the world as it is.
#[derive(Clone, Debug, Default)]
pub struct Meant {
    pub cookie: Option<Credential>,
    pub session: Option<SessionId>,
    pub user: Option<UserId>,
    pub ticket: Option<String>,
    pub nonce: Option<String>,
}

/// What a use case came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub is_refused: bool,
    /// The browser, as the answer shows it.
    pub shown: Option<Shown>,
    /// A token, and of which session.
    pub token: Option<(SessionId, SessionClaims)>,
    pub nonce: Option<String>,
    /// The session that began.
    pub admitted: Option<SessionId>,
}

impl Outcome {
    fn showing(shown: Shown) -> Self {
        Self { shown: Some(shown), ..Self::default() }
    }

    /// A refusal is an outcome; a store that does not answer is not.
    fn of<T, R>(result: Result<T, Failure<R>>, outcome: impl FnOnce(T) -> Self) -> Result<Self, CommitError> {
        match result {
            Ok(found) => Ok(outcome(found)),
            Err(Failure::Refused(_, shown)) => {
                Ok(Self { is_refused: true, shown: shown.map(|shown| *shown), ..Self::default() })
            }
            Err(Failure::Storage(error)) => Err(error),
        }
    }
}

/// Serves a request, and notes in `read_at` when it read the clocks.
pub async fn serve(
    service: Service,
    ask: Ask,
    meant: Meant,
    read_at: std::sync::Arc<OnceLock<Moment>>,
) -> Result<Outcome, CommitError> {
    // As every request of a development instance does where nodes share the rows.
    service.follow_test_clock().await?;
    match ask.is_of_a_browser() {
        true => {
            let (settings, policy) = service.store().settings(service.instance_id()).await?;
            let request = RequestContext {
                at: service.moment(),
                origin: Some(PAGE.to_owned()),
                device: Device::default(),
                languages: Vec::new(),
                cookie_kept_for: BROWSER_LIMIT,
                settings,
                policy,
                credential: meant.cookie.clone(),
            };
            let _ = read_at.set(request.at);
            Box::pin(serve_browser(&service, ask, &request, &meant)).await
        }
        false => {
            let at = service.moment();
            let _ = read_at.set(at);
            Box::pin(serve_application(&service, ask, at, &meant)).await
        }
    }
}

async fn serve_browser(
    service: &Service,
    ask: Ask,
    request: &RequestContext,
    meant: &Meant,
) -> Result<Outcome, CommitError> {
    let id = meant.session;
    match ask {
        Ask::SignIn { .. } | Ask::SignInWithTicket { .. } | Ask::ProveAgain { .. } => {
            let ticket = meant.ticket.as_deref().unwrap_or_default();
            let signed_in = Box::pin(sign_in::with_ticket(service, request, ticket)).await;
            Outcome::of(signed_in, |done| Outcome {
                admitted: done.sign_in.created_session_id,
                ..Outcome::showing(done.shown)
            })
        }
        Ask::Token { hidden, .. } => {
            let source = ActivitySource::Token { hidden };
            let refreshed = Box::pin(sessions::refresh(service, request, id, source)).await;
            Outcome::of(refreshed, |(shown, claims)| Outcome {
                token: id.map(|id| (id, claims)),
                ..Outcome::showing(shown)
            })
        }
        Ask::Touch { .. } => {
            let touched = Box::pin(sessions::touch(service, request, id)).await;
            Outcome::of(touched, |done| Outcome::showing(done.shown))
        }
        Ask::Read { .. } => {
            let read = Box::pin(sessions::read(service, request, id)).await;
            Outcome::of(read, |done| Outcome::showing(done.shown))
        }
        Ask::Handshake => {
            let begun = Box::pin(sessions::start_handshake(service, request, None, PAGE)).await?;
            Ok(Outcome { nonce: Some(begun.nonce), ..Outcome::showing(begun.shown) })
        }
        Ask::SignOut { .. } => {
            let done = Box::pin(sessions::end(service, request, id, Ending::SIGNED_OUT)).await;
            Outcome::of(done, |done| Outcome::showing(done.shown))
        }
        Ask::End { .. } => {
            let done = Box::pin(sessions::end(service, request, id, Ending::ENDED)).await;
            Outcome::of(done, |done| Outcome::showing(done.shown))
        }
        Ask::SignOutAll => {
            let done = Box::pin(sessions::sign_out_of_all(service, request)).await;
            Outcome::of(done, Outcome::showing)
        }
        Ask::Password { .. } => {
            // What was proved is the account as it is when the request comes.
            let known = Box::pin(account::read(service, request, Named::Session(id))).await;
            let known = match known {
                Ok(known) => known.user,
                refused => return Outcome::of(refused, |done| Outcome::showing(done.shown)),
            };
            let hash = PasswordHash(hex(service));
            let named = Named::Session(id);
            let changed = Box::pin(account::put_password(service, request, named, &known, &hash, true)).await;
            Outcome::of(changed, |done| Outcome::showing(done.shown))
        }
        _ => Ok(Outcome::showing(Box::pin(sessions::load_page(service, request)).await?)),
    }
}

/// No hash of anything: no two are the same.
fn hex(service: &Service) -> String {
    format!("{:?}", service.random().array::<8>())
}

async fn serve_application(
    service: &Service,
    ask: Ask,
    at: Moment,
    meant: &Meant,
) -> Result<Outcome, CommitError> {
    match ask {
        Ask::Redeem { .. } => {
            let redeemed =
                Box::pin(backend::redeem_handshake(service, meant.nonce.as_deref().unwrap_or(""))).await;
            Outcome::of(redeemed, |redeemed| Outcome {
                token: redeemed.handshake.session_id.zip(redeemed.claims),
                ..Outcome::default()
            })
        }
        Ask::Mint { .. } => {
            let minted = Box::pin(backend::token(service, meant.session, Some(MINTED_SECONDS))).await;
            let token = |claims| meant.session.map(|id| (id, claims));
            Outcome::of(minted, |claims| Outcome { token: token(claims), ..Outcome::default() })
        }
        Ask::Revoke { .. } => {
            let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
            Outcome::of(Box::pin(revoke::one(service, Some(&context()), meant.session, ending)).await, |_| {
                Outcome::default()
            })
        }
        Ask::Look { .. } => {
            let Some(id) = meant.session else { return Ok(Outcome::default()) };
            Box::pin(record_ends::find(service, at, id)).await?;
            Ok(Outcome::default())
        }
        Ask::Ban { .. } | Ask::Unban { .. } => {
            let is_ban = matches!(ask, Ask::Ban { .. });
            let patch = UserPatch { banned: Some(is_ban), ..UserPatch::default() };
            let ends = is_ban.then_some(EndReason::UserBanned);
            let changed = Box::pin(users::change(service, &context(), at, meant.user, ends, &patch)).await;
            Outcome::of(changed, |_| Outcome::default())
        }
        Ask::Purge => {
            Box::pin(purge(service, at)).await?;
            Ok(Outcome::default())
        }
        _ => {
            Box::pin(sweep::pass(service, at, true)).await?;
            Ok(Outcome::default())
        }
    }
}

/// The application's server of the simulation.
fn context() -> AuditContext {
    AuditContext::command_line(None)
}

/// A ticket of the application's server for a user, or for somebody who acts as one.
pub async fn new_ticket(
    service: Service,
    user_id: UserId,
    acting: bool,
    text: String,
) -> Result<(), Failure<TicketError>> {
    service.follow_test_clock().await?;
    let at = service.moment();
    let id = match acting {
        true => ActorTokenId::generate(at.now, &mut service.random()).into(),
        false => SignInTokenId::generate(at.now, &mut service.random()).into(),
    };
    let impersonation = acting.then(|| Impersonation { actor: serde_json::Map::new(), maximum: minutes(30) });
    let ticket = NewTicket { id, user_id, impersonation, good_for: TICKET_KEPT }.ticket(at, &text);
    service
        .retry_on_conflict(|| async {
            let changes = tickets::insert(&service, &context(), at, &ticket).await?;
            Ok(service.commit(changes).await?)
        })
        .await
}
