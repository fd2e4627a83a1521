//! A server with many clients, each signed in once.

use sojourn_core::{
    client::{Client, SecretHash},
    id::{ClientId, SessionId, UserId},
    session::{Device, Session},
    testing::SeededRng,
    user::User,
};
use sojourn_service::keys::sha256;
use sojourn_store::Write;
use sojourn_testkit::{Request, TestApp, minutes};

/// Each user has several sessions, like a person with several devices.
const SESSIONS_OF_A_USER: usize = 4;
/// Sessions per commit while the database is filled.
const TOGETHER: usize = 500;

/// The server and its signed-in clients.
pub struct Population {
    /// On SQLite, with the inactivity timeout on.
    pub app: TestApp,
    browsers: Vec<(ClientId, SessionId)>,
}

const ORIGIN: &str = "http://localhost:3000";
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

impl Population {
    /// Fills a new database.
    pub async fn new(count: usize) -> Self {
        let app = TestApp::new().on_sqlite().inactivity(minutes(60 * 24)).start().await;
        let (mut rng, mut browsers) = (SeededRng::new(7), Vec::with_capacity(count));
        let now = app.clock.now();
        let mut user_id = UserId::generate(now, &mut rng);
        while browsers.len() < count {
            let mut changes = app.server().changes(app.server().moment());
            for _ in 0..TOGETHER.min(count - browsers.len()) {
                if browsers.len() % SESSIONS_OF_A_USER == 0 {
                    user_id = UserId::generate(now, &mut rng);
                    changes = changes.write(Write::User(User::new(user_id, now)));
                }
                let (client, session) =
                    (ClientId::generate(now, &mut rng), SessionId::generate(now, &mut rng));
                let hash = SecretHash(sha256(SECRET.as_bytes()));
                let mut row = Client::new(client, hash, app.server().moment());
                row.last_active_session_id = Some(session);
                // As after a real sign-in; otherwise the first request would write the origin.
                row.last_origin = Some(ORIGIN.to_owned());
                changes = changes.write(Write::Client(row)).write(Write::InsertSession(Session {
                    id: session,
                    client_id: client,
                    user_id,
                    created_at: now,
                    updated_at: now,
                    last_active_at: now,
                    settings_version: 1,
                    first_factor_verified_at: now,
                    device: Device {
                        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0"
                            .to_owned(),
                        ip_address: "192.0.2.1".to_owned(),
                    },
                    impersonation: None,
                    closed: None,
                }));
                browsers.push((client, session));
            }
            app.server().commit(changes).await.expect("an empty database takes them");
        }
        Self { app, browsers }
    }

    pub const fn len(&self) -> usize {
        self.browsers.len()
    }

    /// The refresh request of one client, as the SDK sends it.
    pub fn refresh(&self, index: usize) -> Request {
        let (client, session) = self.browsers[index % self.browsers.len()];
        let name = &self.app.server().cookie_names().client;
        let wall = self.app.clock.now().as_secs();
        let uat = self.app.server().cookie_names().both(sojourn_core::cookie::CLIENT_UAT);
        let cookie = format!("{name}={client}.{SECRET}.{wall}; {}={wall}; {}={wall}", uat[0], uat[1]);
        self.app
            .request("POST", &format!("/v1/client/sessions/{session}/tokens"))
            .header("origin", ORIGIN)
            .header("cookie", &cookie)
            .form(&[("organization_id", ""), ("tab_state", "focused")])
    }
}
