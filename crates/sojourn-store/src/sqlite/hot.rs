//! Browsers, users and settings as they are stored, in memory: a refresh reads no
//! page of the file. Only where one process writes, which SQLite's data folder sees
//! to; whoever is told that a change is durable finds it here as well.
//!
//! Why that holds: the writer bars the door ([`Hot::committing`]) before it commits,
//! so that nothing that was read around the commit is kept, and takes out what
//! changed ([`Hot::committed`]) before it tells anybody. A hit is put together under
//! one lock, so all of it is of one moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use quick_cache::{Weighter, sync::Cache};
use sojourn_core::{
    client::ClientWithSessions,
    id::{ClientId, InstanceId, UserId},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    user::User,
};

use crate::{
    activity::Activity,
    change::{ChangeSet, Write},
    records::{ClientRecord, users_of},
};

/// Bytes of browsers, about: a hundred thousand of one session each.
const BROWSER_BYTES: u64 = 96 << 20;
/// Bytes of users, about.
const USER_BYTES: u64 = 32 << 20;
/// What an entry costs beside itself, in the tables of the cache.
const ENTRY_BYTES: usize = 64;

/// What is known of the file.
#[derive(Debug)]
pub(super) struct Hot {
    /// Taken for reading by whoever puts a record together, for writing by whoever
    /// changes what is known.
    door: RwLock<Door>,
    browsers: Cache<(InstanceId, ClientId), Arc<Found>, Bytes>,
    users: Cache<(InstanceId, UserId), Kept, Bytes>,
}

#[derive(Debug, Default)]
struct Door {
    /// Commits that began, and those of them that are over.
    begun: u64,
    over: u64,
    settings: BTreeMap<InstanceId, (Settings, Policy)>,
}

/// A browser with its attempts, without its users.
#[derive(Debug)]
struct Found {
    browser: ClientWithSessions,
    sign_in: Option<SignIn>,
    sign_up: Option<SignUp>,
}

#[derive(Clone, Debug)]
struct Kept {
    user: Arc<User>,
    bytes: u64,
}

/// No commit was under way when it was given out; what is read after it may be kept
/// as long as none has begun since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet(u64);

impl Hot {
    pub(super) fn new() -> Self {
        let items = |bytes: u64| (bytes / 1024) as usize;
        Self {
            door: RwLock::default(),
            browsers: Cache::with_weighter(items(BROWSER_BYTES), BROWSER_BYTES, Bytes),
            users: Cache::with_weighter(items(USER_BYTES), USER_BYTES, Bytes),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Door> {
        self.door.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Door> {
        self.door.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The browser with the newest activity, if all of it is known.
    pub(super) fn browser(
        &self,
        instance: InstanceId,
        id: ClientId,
        activity: &Activity,
    ) -> Option<ClientRecord> {
        let door = self.read();
        let found = self.browsers.get(&(instance, id))?;
        let (settings, policy) = door.settings.get(&instance)?.clone();
        let mut browser = found.browser.clone();
        for session in &mut browser.sessions {
            // What nobody remembers may be stored newer than it was read here.
            let at = activity.get(&(instance, session.id))?;
            session.last_active_at = session.last_active_at.max(at);
        }
        let users = users_of(&browser.sessions)
            .into_iter()
            .map(|user| Some(self.users.get(&(instance, user))?.user))
            .collect::<Option<Vec<_>>>()?;
        let (sign_in, sign_up) = (found.sign_in.clone(), found.sign_up.clone());
        Some(ClientRecord { browser, users, sign_in, sign_up, settings, policy })
    }

    /// The settings, if they are known.
    pub(super) fn settings(&self, instance: InstanceId) -> Option<(Settings, Policy)> {
        self.read().settings.get(&instance).cloned()
    }

    /// Asked before something is read that may be kept.
    pub(super) fn quiet(&self) -> Option<Quiet> {
        let door = self.read();
        (door.begun == door.over).then_some(Quiet(door.begun))
    }

    /// Keeps what was read since, as it is stored, if no commit began in the meantime.
    pub(super) fn keep(
        &self,
        since: Option<Quiet>,
        instance: InstanceId,
        record: &ClientRecord,
        activity: &Activity,
    ) {
        let mut door = self.write();
        if since.is_none_or(|Quiet(begun)| begun != door.begun) {
            return;
        }
        door.settings.entry(instance).or_insert_with(|| (record.settings.clone(), record.policy.clone()));
        for user in &record.users {
            let kept = Kept { user: Arc::clone(user), bytes: user_bytes(user) };
            self.users.insert((instance, user.id), kept);
        }
        for session in &record.browser.sessions {
            activity.read((instance, session.id), session.last_active_at);
        }
        let found = Found {
            browser: record.browser.clone(),
            sign_in: record.sign_in.clone(),
            sign_up: record.sign_up.clone(),
        };
        self.browsers.insert((instance, record.browser.client.id), Arc::new(found));
    }

    /// Before the writer commits: what is read from now on is not kept.
    pub(super) fn committing(&self) {
        self.write().begun += 1;
    }

    /// After it has, and before anybody is told: forgets what `changes` wrote, and
    /// unfinished attempts if old ones were `purged`.
    pub(super) fn committed<'a>(&self, changes: impl Iterator<Item = &'a ChangeSet>, purged: bool) {
        let mut door = self.write();
        if purged {
            self.browsers.retain(|_, found| found.sign_in.is_none() && found.sign_up.is_none());
        }
        for set in changes {
            for write in &set.writes {
                self.forget(&mut door, set.instance_id, write);
            }
        }
        door.over = door.begun;
    }

    /// Forgets everything: somebody else wrote, or what is stored is uncertain.
    pub(super) fn clear(&self) {
        let mut door = self.write();
        self.forget_all(&mut door);
        // Who is reading right now may have read it as it was.
        door.begun += 1;
        door.over = door.begun;
    }

    fn forget_all(&self, door: &mut Door) {
        self.browsers.clear();
        self.users.clear();
        door.settings.clear();
    }

    fn forget(&self, door: &mut Door, instance: InstanceId, write: &Write) {
        let browser = |id: ClientId| drop(self.browsers.remove(&(instance, id)));
        let user = |id: UserId| drop(self.users.remove(&(instance, id)));
        match write {
            Write::Client(client) => browser(client.id),
            Write::InsertSession(session)
            | Write::CloseSession(session)
            | Write::UpdateSession(session)
            | Write::TouchSession(session) => browser(session.client_id),
            Write::SignIn(attempt) => browser(attempt.client_id),
            Write::SignUp(attempt) => browser(attempt.client_id),
            Write::User(changed) => user(changed.id),
            Write::DeleteUser(id) => user(*id),
            Write::Settings(_) => drop(door.settings.remove(&instance)),
            Write::RebaseOpenSessions(_) => self.forget_all(door),
            Write::Handshake(..)
            | Write::InsertTicket(_)
            | Write::AcceptTicket(_)
            | Write::RevokeTicket(_)
            | Write::IdempotencyKey(_)
            | Write::Mail(_)
            | Write::DeleteMail(_)
            | Write::ClearMails
            | Write::InsertInstance(_)
            | Write::InsertSigningKey(_)
            | Write::InsertSecretKey(_)
            | Write::RevokeSecretKey(_)
            | Write::SecretKeyUsed(_)
            | Write::TestClock(_) => {}
        }
    }
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<(InstanceId, ClientId), Arc<Found>> for Bytes {
    fn weight(&self, _: &(InstanceId, ClientId), found: &Arc<Found>) -> u64 {
        let text = |session: &Session| session.device.user_agent.len() + session.device.ip_address.len();
        let sessions: usize =
            found.browser.sessions.iter().map(|session| size_of::<Session>() + text(session)).sum();
        (ENTRY_BYTES + size_of::<Found>() + sessions) as u64
    }
}

impl Weighter<(InstanceId, UserId), Kept> for Bytes {
    fn weight(&self, _: &(InstanceId, UserId), kept: &Kept) -> u64 {
        kept.bytes
    }
}

/// Metadata is what makes some users large.
fn user_bytes(user: &User) -> u64 {
    let document = serde_json::to_vec(user).map_or(0, |document| document.len());
    (ENTRY_BYTES + size_of::<User>() + document) as u64
}

#[cfg(test)]
mod tests {
    use sojourn_core::{
        client::{Client, SecretHash},
        id::SessionId,
        session::Device,
        testing::SeededRng,
        time::{Moment, Timestamp, minutes},
    };

    use super::*;

    #[test]
    fn a_browser_whose_activity_nobody_remembers_is_read_again() {
        let at = Timestamp::from_secs(1_800_000_000);
        let mut rng = SeededRng::new(1);
        let instance = InstanceId::generate(at, &mut rng);
        let client = Client::new(ClientId::generate(at, &mut rng), SecretHash([1; 32]), Moment::real(at));
        let user = User::new(UserId::generate(at, &mut rng), at);
        let session = Session {
            id: SessionId::generate(at, &mut rng),
            client_id: client.id,
            user_id: user.id,
            created_at: at,
            updated_at: at,
            last_active_at: at,
            settings_version: 1,
            first_factor_verified_at: at,
            device: Device { user_agent: "Firefox".to_owned(), ip_address: "::1".to_owned() },
            impersonation: None,
            closed: None,
        };
        let (id, settings) = (client.id, Settings::initial(at));
        let policy = Policy::new(settings.policy_version());
        let browser = ClientWithSessions { client, sessions: vec![session] };
        let users = vec![Arc::new(user)];
        let record = ClientRecord { browser, users, sign_in: None, sign_up: None, settings, policy };

        let (hot, activity) = (Hot::new(), Activity::default());
        assert_eq!(hot.browser(instance, id, &activity), None);
        hot.keep(hot.quiet(), instance, &record, &activity);
        assert_eq!(hot.browser(instance, id, &activity), Some(record));
        // Others are active; this one's may be stored newer than it was read, for all
        // that is known here.
        activity.saw(at + minutes(60));
        activity.tidy();
        assert_eq!(hot.browser(instance, id, &activity), None);
    }
}
