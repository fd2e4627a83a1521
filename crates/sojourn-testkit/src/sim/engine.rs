//! The engine of a simulated node. It stands before the rows that all nodes share and the
//! node's own memory of activity, lets other requests come in after every call, tells the
//! simulation what was loaded and written, and has the faults of a planted bug.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use sojourn_core::{
    audit::AuditEntry,
    client::{ClientWithSessions, SecretHash},
    email::Email,
    handshake::Handshake,
    id::{
        ClientId, CommitId, InstanceId, MailId, SessionId, SignInId, SignUpId, TicketId, UserId,
        WebhookDeliveryId, WebhookEndpointId,
    },
    outgoing_mail::{MailStatus, OutgoingMail},
    policy::Policy,
    session::{ClosedStatus, Session},
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
    webhook::{WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{
    AuditFilter, ChangeSet, ClientRecord, CommitError, Engine, IdempotencyKey, Instance, Mail, OutboxEntry,
    QueueLengths, SecretKey, SessionFilter, SigningKey, StoreError, StoredWebhookDelivery, Ticket,
    UserFilter, WebhookDeliveryFilter, Write, engine_parts::with_every_call,
};

use super::{
    Mutation,
    mutations::{judged_by, overlook_activity, overlook_others},
    step::Ask,
};
use crate::memory::{ActivityBatch, MemoryEngine};

/// One node's engine.
#[derive(Debug)]
pub struct NodeEngine {
    /// The rows and the node's memory, without faults.
    pub node: MemoryEngine,
    mutation: Option<Mutation>,
    /// Sessions that a planted bug opened again, on whichever node.
    revived: Arc<Mutex<BTreeSet<SessionId>>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serving: Serving,
    seen: Vec<Seen>,
    /// Activity was noted since it was last taken to be written.
    has_noted: bool,
    /// What a planted bug keeps.
    cached: BTreeMap<ClientId, Vec<Session>>,
}

/// For whom the node works at the moment: told before each step of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serving {
    pub ask: Option<Ask>,
    /// The session that it names.
    pub session: Option<SessionId>,
    /// A secret that was rotated away, if it came with one.
    pub old_secret: Option<SecretHash>,
    /// Each set is sent again, as if its outcome had been lost.
    pub sends_twice: bool,
    pub is_dry_run: bool,
}

/// What a node read or wrote.
#[derive(Debug)]
pub enum Seen {
    Settings(Policy),
    Browser(Box<ClientWithSessions>, Policy),
    Sessions(Vec<Session>),
    Committed(Box<Committed>),
    Conflict,
    /// Activity was noted in memory.
    Active(SessionId, Moment),
    /// What was noted is forgotten: the test clock was reset.
    Forgot,
}

/// A set that the service takes for written.
#[derive(Debug)]
pub struct Committed {
    pub changes: ChangeSet,
    /// Sessions that it ends for inactivity, and of which the node or the rows knew newer
    /// activity than it was decided on.
    pub seen_since: Vec<SessionId>,
    /// What came of sending it again.
    pub again: Result<(), String>,
}

impl NodeEngine {
    pub fn new(
        node: MemoryEngine,
        mutation: Option<Mutation>,
        revived: Arc<Mutex<BTreeSet<SessionId>>>,
    ) -> Self {
        Self { node, mutation, revived, state: Mutex::default() }
    }

    /// Who is served from now on.
    pub fn serve(&self, serving: Serving) {
        self.state().serving = serving;
    }

    /// What happened since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// Takes the activity that is due to be written; `all` that is idle as well.
    pub fn take_activity(&self, idle: bool) -> ActivityBatch {
        if idle {
            self.node.tidy_activity();
        }
        // Most of the time there is none.
        match std::mem::take(&mut self.state().has_noted) || idle {
            true => self.node.take_activity(false),
            false => ActivityBatch::default(),
        }
    }

    /// Writes activity, however late.
    pub fn write_activity(&self, batch: &ActivityBatch, is_over: impl Fn(&SessionId) -> bool) {
        if self.mutation == Some(Mutation::LateActivityRevives) {
            self.revived().extend(batch.sessions().filter(is_over));
        }
        self.node.write_activity(batch);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revived(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.revived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: Seen) {
        let mut state = self.state();
        state.has_noted |= matches!(seen, Seen::Active(..));
        state.seen.push(seen);
    }

    async fn load_browser(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let Some(mut record) = self.node.browser(instance, client).await? else { return Ok(None) };
        self.note(Seen::Browser(Box::new(record.browser.clone()), record.policy.clone()));
        record.policy = judged_by(self.mutation, record.policy);
        let serving = self.state().serving;
        let browser = &mut record.browser;
        match self.mutation {
            Some(Mutation::LateActivityRevives) => {
                let revived: Vec<SessionId> = self.revived().iter().copied().collect();
                for id in revived {
                    self.open_again(instance, browser, id).await?;
                }
            }
            Some(Mutation::TokenAfterEnd) if matches!(serving.ask, Some(Ask::Mint { .. })) => {
                if let Some(id) = serving.session {
                    self.open_again(instance, browser, id).await?;
                }
            }
            Some(Mutation::CachedBrowser) if matches!(serving.ask, Some(Ask::Token { .. })) => {
                let mut state = self.state();
                let cached = state.cached.entry(client).or_insert_with(|| browser.sessions.clone());
                browser.sessions.clone_from(cached);
            }
            Some(Mutation::RotationIgnored) => {
                browser.client.secret = serving.old_secret.unwrap_or(browser.client.secret);
            }
            _ => {}
        }
        Ok(Some(record))
    }

    /// Puts a session that is over back into its browser.
    async fn open_again(
        &self,
        instance: InstanceId,
        browser: &mut ClientWithSessions,
        id: SessionId,
    ) -> Result<(), StoreError> {
        let session = self.node.session(instance, id).await?;
        let is_its = |session: &Session| session.closed.is_some() && session.client_id == browser.client.id;
        if let Some(session) = session.filter(is_its) {
            browser.sessions.push(Session { closed: None, ..session });
        }
        Ok(())
    }

    async fn load_settings(&self, instance: InstanceId) -> Result<(Settings, Policy), StoreError> {
        let (settings, policy) = self.node.settings(instance).await?;
        self.note(Seen::Settings(policy.clone()));
        let policy = match self.mutation {
            Some(Mutation::WrongForecast) if self.state().serving.is_dry_run => {
                Policy::new(*policy.current())
            }
            mutation => judged_by(mutation, policy),
        };
        Ok((settings, policy))
    }

    fn tell(&self, sessions: &[Session]) {
        self.note(Seen::Sessions(sessions.to_vec()));
    }

    async fn write(&self, changes: ChangeSet) -> Result<(), CommitError> {
        let mut set = changes.clone();
        let serving = self.state().serving;
        let is_revocation = matches!(serving.ask, Some(Ask::Revoke { .. }));
        match self.mutation {
            Some(Mutation::UncheckedAdmission) => overlook_others(&self.node, &mut set).await?,
            Some(Mutation::TicketNotSpent) => {
                set.writes.retain(|write| !matches!(write, Write::AcceptTicket(_)));
            }
            Some(Mutation::EndNotTold) if is_revocation => set.events.clear(),
            Some(Mutation::AnsweredBeforeWritten) if is_revocation => {
                set.writes.clear();
                set.events.clear();
            }
            _ => {}
        }
        let seen_since = self.seen_since(&set).await?;
        if self.mutation == Some(Mutation::ActivityNotConsulted) {
            overlook_activity(&mut set);
        }
        let written = match set.is_empty() {
            true => Ok(()),
            false => self.node.commit(set.clone()).await,
        };
        let again = match &written {
            Ok(()) if serving.sends_twice => {
                self.node.commit(set).await.map_err(|error| format!("{error}, {changes:?}"))
            }
            _ => Ok(()),
        };
        match &written {
            Ok(()) => self.note(Seen::Committed(Box::new(Committed { changes, seen_since, again }))),
            Err(CommitError::Conflict) => self.note(Seen::Conflict),
            Err(_) => {}
        }
        written
    }

    async fn seen_since(&self, set: &ChangeSet) -> Result<Vec<SessionId>, StoreError> {
        let mut seen = Vec::new();
        for write in &set.writes {
            let Write::CloseSession(row) = write else { continue };
            let is_abandoned = row.closed.is_some_and(|closing| closing.status == ClosedStatus::Abandoned);
            if !is_abandoned {
                continue;
            }
            let known = self.node.session(set.instance_id, row.id).await?;
            let is_newer =
                |known: &Session| known.closed.is_none() && known.last_active_at > row.last_active_at;
            if known.as_ref().is_some_and(is_newer) {
                seen.push(row.id);
            }
        }
        Ok(seen)
    }
}

/// Others come in between: an answer of the store takes its time.
async fn others_come_in() {
    let mut have_been = false;
    poll_fn(|_| match std::mem::replace(&mut have_been, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// One call of the engine: what is told and altered, or handed on as it is.
macro_rules! call {
    ($self:ident.commit($changes:ident)) => {
        $self.write($changes).await
    };
    ($self:ident.browser($instance:ident, $client:ident)) => {
        $self.load_browser($instance, $client).await
    };
    ($self:ident.settings($instance:ident)) => {
        $self.load_settings($instance).await
    };
    ($self:ident.session($instance:ident, $id:ident)) => {
        $self.node.session($instance, $id).await.inspect(|found| $self.tell(found.as_slice()))
    };
    ($self:ident.sessions($instance:ident, $filter:ident)) => {
        $self.node.sessions($instance, $filter).await.inspect(|(found, _)| $self.tell(found))
    };
    ($self:ident.open_sessions($instance:ident, $after:ident, $limit:ident)) => {
        $self.node.open_sessions($instance, $after, $limit).await.inspect(|found| $self.tell(found))
    };
    ($self:ident.record_activity($instance:ident, $session:ident, $at:ident)) => {{
        $self.note(Seen::Active($session, $at));
        $self.node.record_activity($instance, $session, $at)
    }};
    ($self:ident.forget_activity($instance:ident)) => {{
        $self.note(Seen::Forgot);
        $self.node.forget_activity($instance)
    }};
    ($self:ident.is_shared()) => {
        $self.node.is_shared()
    };
    ($self:ident.$name:ident($($arg:ident),*)) => {
        $self.node.$name($($arg),*).await
    };
}

macro_rules! stand_before {
    (
        async { $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        sync { $($(#[$sync_doc:meta])* fn $sync_name:ident($($sync_arg:ident: $sync_type:ty),*) -> $sync_answer:ty;)* }
    ) => {
        #[expect(clippy::needless_lifetimes, reason = "some of the calls need it, and all are written alike")]
        impl Engine for NodeEngine {
            $(async fn $name<'a>(&'a self $(, $arg: $type)*) -> $answer {
                let answer = call!(self.$name($($arg),*));
                others_come_in().await;
                answer
            })*

            $(fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer {
                call!(self.$sync_name($($sync_arg),*))
            })*
        }
    };
}

with_every_call!(stand_before);
