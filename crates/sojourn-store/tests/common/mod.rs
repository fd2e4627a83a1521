//! Test data for stories: one instance, and functions that create rows.

#![allow(dead_code, reason = "each test file tells its own part")]

use sojourn_core::{
    client::{Client, ClientStep, NewSession, SecretHash, admit},
    email::Email,
    id::{ClientId, EmailAddressId, InstanceId, MailId, Randomness as _, SessionId, SignInTokenId, UserId},
    session::{ClosedStatus, Closing, Device, EndReason, EndedBy, Session},
    settings::Settings,
    testing::SeededRng,
    time::{Moment, Timestamp},
    user::User,
};
use sojourn_store::{
    ChangeSet, ClientRecord, CommitError, Engine as _, Environment, Instance, Mail, Store, Ticket,
    TicketStatus, Write,
};

/// Seconds after the start of the story, equal on both clocks.
pub fn moment(secs: i64) -> Moment {
    Moment::real(at(secs))
}

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_000_000 + secs)
}

pub struct World {
    pub store: Store,
    pub instance: InstanceId,
    pub rng: SeededRng,
}

impl World {
    /// An instance in `store`, with its first settings.
    pub async fn new(store: Store, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let instance = InstanceId::generate(at(0), &mut rng);
        let mut world = Self { store, instance, rng };
        let row = Instance {
            id: instance,
            environment: Environment::Development,
            host: "clerk.example.localhost".to_owned(),
            created_at: at(0),
        };
        let set =
            world.set(0).write(Write::InsertInstance(row)).write(Write::Settings(Settings::initial(at(0))));
        world.commit(set).await.expect("a new instance");
        world
    }

    pub fn set(&mut self, secs: i64) -> ChangeSet {
        ChangeSet::new(self.instance, moment(secs), &mut self.rng)
    }

    pub async fn commit(&self, set: ChangeSet) -> Result<(), CommitError> {
        self.store.commit(set).await
    }

    pub async fn put(&mut self, secs: i64, write: Write) -> Result<(), CommitError> {
        let set = self.set(secs).write(write);
        self.commit(set).await
    }

    /// A user that is not stored yet.
    pub fn new_user(&mut self, name: &str, secs: i64) -> User {
        let mut user = User::new(UserId::generate(at(secs), &mut self.rng), at(secs));
        user.first_name = Some(name.to_owned());
        let id = EmailAddressId::generate(at(secs), &mut self.rng);
        let email = format!("{}@example.com", name.to_lowercase());
        user.add_email(id, Email::parse(&email).expect("an address"), Some("admin"), at(secs));
        user
    }

    /// A stored user.
    pub async fn user(&mut self, name: &str, secs: i64) -> User {
        let user = self.new_user(name, secs);
        self.put(secs, Write::User(user.clone())).await.expect("a new user");
        self.load_user(user.id).await
    }

    pub async fn load_user(&self, id: UserId) -> User {
        let user = self.store.user(self.instance, id).await.expect("a load");
        user.expect("the user is there")
    }

    /// A stored client.
    pub async fn client(&mut self, secs: i64) -> ClientId {
        let id = ClientId::generate(at(secs), &mut self.rng);
        let client = Client::new(id, SecretHash(self.rng.array()), moment(secs));
        self.put(secs, Write::Client(client)).await.expect("a new client");
        id
    }

    /// The step that admits the user to the client, not committed yet.
    pub async fn admission(&mut self, client: ClientId, user: UserId, secs: i64) -> ClientStep {
        let record = self.browser(client).await;
        self.admission_of(&record, user, secs)
    }

    /// The step that admits the user to a loaded client.
    pub fn admission_of(&mut self, record: &ClientRecord, user: UserId, secs: i64) -> ClientStep {
        let newcomer = NewSession {
            session_id: SessionId::generate(at(secs), &mut self.rng),
            user_id: user,
            device: Device { user_agent: "Firefox".to_owned(), ip_address: "::1".to_owned() },
            impersonation: None,
            strategy: "password".to_owned(),
            secret: SecretHash(self.rng.array()),
        };
        admit(moment(secs), &record.policy, &record.browser, newcomer).expect("admitted")
    }

    /// A stored session of the user on the client.
    pub async fn sign_in(&mut self, client: ClientId, user: UserId, secs: i64) -> Session {
        let step = self.admission(client, user, secs).await;
        let set = self.set(secs).browser(&step);
        self.commit(set).await.expect("signed in");
        step.subject.expect("a session")
    }

    /// A stored session, after a sign-out of the previous one a second earlier.
    pub async fn sign_in_again(&mut self, client: ClientId, user: UserId, secs: i64) -> Session {
        for session in self.browser(client).await.browser.sessions {
            let gone = closed(&session, secs - 1, ClosedStatus::Removed);
            self.put(secs - 1, Write::CloseSession(gone)).await.expect("signed out");
        }
        self.sign_in(client, user, secs).await
    }

    pub async fn browser(&self, client: ClientId) -> ClientRecord {
        let record = self.store.browser(self.instance, client).await.expect("a load");
        record.expect("the browser is there")
    }

    pub async fn session(&self, id: SessionId) -> Session {
        let session = self.store.session(self.instance, id).await.expect("a load");
        session.expect("the session is there")
    }

    /// The next settings, with or without multi-session mode, and with the inactivity timeout on.
    pub async fn next_settings(&self, secs: i64, multi_session: bool) -> Settings {
        let (mut next, _) = self.store.settings(self.instance).await.expect("settings");
        let mut session = *next.session;
        session.inactivity_timeout.enabled = true;
        session.multi_session_enabled = multi_session;
        next.session = session.try_into().expect("a limit is on");
        next.version += 1;
        next.in_force_from = at(secs);
        next
    }

    pub async fn allow_many(&mut self, secs: i64) {
        let next = self.next_settings(secs, true).await;
        self.put(secs, Write::Settings(next)).await.expect("new settings");
    }

    pub fn ticket(&mut self, user: UserId, secs: i64) -> Ticket {
        Ticket {
            id: SignInTokenId::generate(at(secs), &mut self.rng).into(),
            hash: self.rng.array(),
            user_id: user,
            status: TicketStatus::Pending,
            created_at: at(secs),
            updated_at: at(secs),
            expires_at: at(secs + 600),
            impersonation: None,
        }
    }

    pub fn mail(&mut self, to: &str, secs: i64) -> Mail {
        Mail {
            id: MailId::generate(at(secs), &mut self.rng),
            to: to.to_owned(),
            subject: "Your code".to_owned(),
            code: Some("424242".to_owned()),
            link: None,
            text: "424242".to_owned(),
            html: "<b>424242</b>".to_owned(),
            received_at: at(secs),
        }
    }
}

/// The session with a closing.
pub fn closed(session: &Session, secs: i64, status: ClosedStatus) -> Session {
    let reason = match status {
        ClosedStatus::Abandoned => EndReason::InactivityTimeout,
        ClosedStatus::Expired => EndReason::MaximumLifetime,
        _ => EndReason::RevokedByBackend,
    };
    let closing = Closing {
        at: at(secs),
        status,
        reason,
        by: EndedBy::Backend,
        deadline_at: at(secs),
        settings_version: 1,
    };
    Session { updated_at: at(secs), closed: Some(closing), ..session.clone() }
}
