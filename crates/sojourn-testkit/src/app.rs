//! The application under test, and what a story may do to it from outside.

use std::time::Duration;

use axum::Router;
use serde_json::Value;
use sojourn_core::{
    audit::AuditContext,
    email::Email,
    id::{EmailAddressId, SessionId, SignInTokenId, UserId},
    session::Session,
    settings::{Change, Settings, registry},
    testing::SeededRng,
    user::User,
};
use sojourn_server::App;
use sojourn_service::{
    InstanceKind, StartError, keys,
    settings::{Author, ChangeRequest, Pin, Pins},
};
use sojourn_store::{Engine as _, Store, Ticket, TicketStatus, Write};

use crate::{
    Backend, Builder, FakeBrowser, ManualClock, PASSWORD, Request, answer::claims_of, builder::Frame, seed,
};

/// A running application: the server's router, called without a network.
#[derive(Clone, Debug)]
pub struct TestApp {
    /// Moves the time that everything is judged by.
    pub clock: ManualClock,
    server: App,
    router: Router,
    frame: Frame,
}

impl TestApp {
    /// Says what it shall be like; then `start().await`.
    #[expect(clippy::new_ret_no_self, reason = "a story begins with `TestApp::new()`")]
    pub fn new() -> Builder {
        Builder::default()
    }

    pub(crate) fn started(clock: ManualClock, server: App, frame: Frame) -> Self {
        let router = sojourn_server::router(&server);
        Self { clock, server, router, frame }
    }

    /// Stops the server cleanly and starts it again on the same file. Browsers
    /// of before still ask the old one: take their cookies along with
    /// [`FakeBrowser::moved_to`].
    ///
    /// # Panics
    /// It does not start, or was only in memory.
    pub async fn restarted(&self) -> Self {
        self.server.close().await.expect("a clean stop");
        self.frame.clone().reopen(self.clock.clone()).await
    }

    /// As [`Self::restarted`], with rows that a statement damaged in between.
    ///
    /// # Panics
    /// As there, or the statement is none.
    pub async fn damaged(&self, statement: &str) -> Self {
        self.server.close().await.expect("a clean stop");
        self.frame.home.run(statement).await;
        self.frame.clone().reopen(self.clock.clone()).await
    }

    /// Starts another node on the same store, with settings pinned there: each
    /// pin is its path, its value and where it is pinned.
    ///
    /// # Errors
    /// It does not start.
    pub async fn another_node(&self, pins: &[(&str, Value, &str)]) -> Result<Self, StartError> {
        let pin = |(path, value, origin): &(&str, Value, &str)| Pin {
            setting: registry::find(path).expect("a setting"),
            value: value.clone(),
            origin: (*origin).to_owned(),
        };
        let pins = Pins(pins.iter().map(pin).collect());
        let rng = SeededRng::new(2_000_003);
        self.frame.clone().open_with(self.store().clone(), self.clock.clone(), rng, pins).await
    }

    /// Starts another node of the same instance: on the same rows, with activity
    /// in a memory of its own, which [`sojourn_store::Engine::flush_activity`] writes.
    ///
    /// # Panics
    /// It does not start, or is on SQLite, which one process has for itself.
    pub async fn neighbour(&self) -> Self {
        let frame = self.frame.clone();
        let store = frame.home.open_beside().await;
        let opened = frame.open_with(store, self.clock.clone(), SeededRng::new(3_000_017), Pins(Vec::new()));
        opened.await.expect("the node starts")
    }

    /// Starts another node on the same store that expects another instance there.
    ///
    /// # Errors
    /// It does not start.
    pub async fn served_as(&self, kind: InstanceKind) -> Result<Self, StartError> {
        let mut frame = self.frame.clone();
        frame.kind = kind;
        let rng = SeededRng::new(2_000_029);
        frame.open_with(self.store().clone(), self.clock.clone(), rng, Pins::default()).await
    }

    /// The server itself.
    pub const fn server(&self) -> &App {
        &self.server
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        self.server.store()
    }

    /// Its routes, for what [`Request`] cannot say.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The secret key of the application's server.
    pub fn secret_key(&self) -> &str {
        &self.frame.secret_key
    }

    /// A browser that was never here, on the application's page.
    pub fn browser(&self) -> FakeBrowser {
        self.browser_at(self.frame.page)
    }

    /// A browser that was never here, on a page of `origin`.
    pub fn browser_at(&self, origin: &str) -> FakeBrowser {
        FakeBrowser::new(self.clone(), origin)
    }

    /// The application's server.
    pub fn backend(&self) -> Backend {
        Backend { router: self.router(), secret_key: self.frame.secret_key.clone(), host: self.host() }
    }

    /// A bare request: no cookies, no origin, only a `Host`.
    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.router(), method, target).header("host", &self.host())
    }

    fn host(&self) -> String {
        let url = self.server.base_url();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str().unwrap_or("localhost"))
    }

    /// A browser in which the account is signed in; makes the account if need be.
    ///
    /// # Panics
    /// The sign-in is refused.
    pub async fn signed_in(&self, email: &str) -> FakeBrowser {
        self.user(email).await;
        let browser = self.browser();
        browser.sign_in(email, PASSWORD).await.assert_ok();
        browser
    }

    /// The account with that address and [`PASSWORD`]; makes it if need be.
    ///
    /// # Panics
    /// It cannot be stored.
    pub async fn user(&self, email: &str) -> User {
        let address = Email::parse(email).expect("an e-mail address");
        if let Some(user) = self.stored_user(&address).await {
            return user;
        }
        let now = self.server.moment().now;
        let mut user = User::new(UserId::generate(now, &mut self.server.random()), now);
        let name = email.split(['@', '+']).next().unwrap_or("");
        let (first, rest) = name.split_at(name.len().min(1));
        user.first_name = Some(first.to_uppercase() + rest);
        let id = EmailAddressId::generate(now, &mut self.server.random());
        user.add_email(id, address.clone(), Some("admin"), now);
        user.password_hash = Some(seed::password_hash());
        user.password_updated_at = Some(now);
        self.write(Write::User(user)).await;
        self.stored_user(&address).await.expect("it was just written")
    }

    async fn stored_user(&self, email: &Email) -> Option<User> {
        self.store().user_by_email(self.server.instance_id(), email).await.expect("a store that answers")
    }

    /// Changes an account as the application's server would.
    ///
    /// # Panics
    /// It does not exist, or cannot be stored.
    pub async fn change_user(&self, email: &str, change: impl FnOnce(&mut User)) {
        let address = Email::parse(email).expect("an e-mail address");
        let mut user = self.stored_user(&address).await.expect("an account");
        change(&mut user);
        user.changed(self.server.moment().now);
        self.write(Write::User(user)).await;
    }

    /// A ticket that signs `email` in within `span`.
    ///
    /// # Panics
    /// It cannot be stored.
    pub async fn ticket(&self, email: &str, span: Duration) -> String {
        let user = self.user(email).await;
        let now = self.server.moment().now;
        let text = keys::random_secret(&mut self.server.random());
        self.write(Write::InsertTicket(Ticket {
            id: SignInTokenId::generate(now, &mut self.server.random()).into(),
            hash: keys::sha256(text.as_bytes()),
            user_id: user.id,
            status: TicketStatus::Pending,
            created_at: now,
            updated_at: now,
            expires_at: now + span,
            impersonation: None,
        }))
        .await;
        text
    }

    /// Puts changed settings into force, as the settings API does.
    ///
    /// # Panics
    /// They cannot be in force.
    pub async fn change_settings(&self, change: impl Fn(&mut Settings)) {
        let request = by_test();
        let changed = self.server.change_settings(&request, |settings| {
            let mut next = settings.clone();
            change(&mut next);
            Ok(next)
        });
        changed.await.expect("settings that can be");
    }

    /// Changes the session settings by a patch as the settings API takes it.
    ///
    /// # Panics
    /// They cannot be in force.
    pub async fn change_session_settings(&self, patch: Value) {
        let patch = patch.as_object().expect("an object");
        let change = Change::read("session_settings", patch).expect("a patch");
        self.server.set_settings(&by_test(), &change).await.expect("settings that can be");
    }

    /// A session as it is stored.
    ///
    /// # Panics
    /// There is none.
    pub async fn stored_session(&self, id: &str) -> Session {
        let id: SessionId = id.parse().expect("a session's id");
        let session = self.store().session(self.server.instance_id(), id).await;
        session.expect("a store that answers").expect("a session")
    }

    /// The code in the newest mail to `email`.
    ///
    /// # Panics
    /// There is no such mail.
    pub async fn mailed_code(&self, email: &str) -> String {
        let mails = self.store().mails(self.server.instance_id(), Some(email), 1).await;
        let mail = mails.expect("a store that answers").into_iter().next();
        mail.and_then(|mail| mail.code).expect("a mail with a code")
    }

    /// Writes one row, as another part of the system would.
    ///
    /// # Panics
    /// It cannot be written.
    pub async fn write(&self, write: Write) {
        let changes = self.server.changes(self.server.moment()).write(write);
        // Not by the service, which asks who does it.
        self.store().commit(changes).await.expect("the row is written");
    }

    /// The claims of a session token of this application.
    ///
    /// # Panics
    /// It is none.
    pub fn verified(&self, jwt: &str) -> Value {
        let category = sojourn_core::claims::SESSION_CATEGORY;
        let claims = self.server.verify_token(jwt, category).expect("a session token of ours");
        assert_eq!(claims, claims_of(jwt));
        claims
    }
}

fn by_test() -> ChangeRequest {
    ChangeRequest::by(Author::Named("test".to_owned()), AuditContext::command_line(None))
}
