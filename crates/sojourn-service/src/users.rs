//! Users: created, changed and deleted by any interface.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sojourn_core::{
    audit::{Act, Action, AuditContext, user_changes},
    email::Email,
    event::Event,
    factor::Lockout,
    id::{EmailAddressId, UserId},
    password::Password,
    session::{EndReason, EndedBy, Ending},
    time::{Moment, Timestamp},
    user::{EmailRefusal, PasswordHash, User, merge_metadata},
};
use sojourn_store::{ChangeSet, Engine as _, Expect, StoreError, UserFilter, Write};

use crate::{
    instance::Service,
    outcome::{Failure, Reason},
    passwords::PasswordsError,
    sessions::revoke,
};

/// The maximum size of one kind of metadata as JSON, in bytes: every response with the client
/// contains it.
pub const MAX_METADATA_BYTES: usize = 8192;

/// Why a user is not created or changed.
#[derive(Debug)]
pub enum UserError {
    Unknown,
    /// The new primary address does not exist, or may not be the primary one.
    Primary(EmailRefusal),
    NoPassword,
    /// The name of the metadata, and the number of bytes that it would have.
    MetadataTooLarge(&'static str, usize),
    /// The password could not be verified.
    Passwords(PasswordsError),
}

impl Reason for UserError {}

/// A change of a user. An outer `None` leaves the field unchanged.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    pub first_name: Option<Option<String>>,
    pub last_name: Option<Option<String>>,
    pub external_id: Option<Option<String>>,
    pub locale: Option<Option<String>>,
    pub created_at: Option<Timestamp>,
    pub legal_accepted_at: Option<Timestamp>,
    pub delete_self_enabled: Option<bool>,
    pub banned: Option<bool>,
    pub locked: Option<bool>,
    /// An inner `None` is an id that is not valid.
    pub primary_email: Option<Option<EmailAddressId>>,
    /// An inner `None` removes the password.
    pub password: Option<Option<PasswordHash>>,
    pub public_metadata: Option<Map<String, Value>>,
    pub private_metadata: Option<Map<String, Value>>,
    pub unsafe_metadata: Option<Map<String, Value>>,
    /// Merges metadata: objects deeply, and null deletes a key. Otherwise metadata is replaced.
    pub merges_metadata: bool,
}

impl UserPatch {
    /// What changing a user by this patch is called in the audit log.
    const fn action(&self) -> Action {
        match (self.banned, self.locked) {
            (Some(true), _) => Action::UserBanned,
            (Some(false), _) => Action::UserUnbanned,
            (None, Some(true)) => Action::UserLocked,
            (None, Some(false)) => Action::UserUnlocked,
            (None, None) => Action::UserUpdated,
        }
    }

    /// Applies the patch.
    ///
    /// # Errors
    /// [`UserError`]; `user` may be partly changed then.
    pub fn apply(&self, user: &mut User, now: Timestamp) -> Result<(), UserError> {
        for (given, field) in [
            (&self.first_name, &mut user.first_name),
            (&self.last_name, &mut user.last_name),
            (&self.external_id, &mut user.external_id),
            (&self.locale, &mut user.locale),
        ] {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        user.created_at = self.created_at.unwrap_or(user.created_at);
        user.legal_accepted_at = self.legal_accepted_at.or(user.legal_accepted_at);
        user.delete_self_enabled = self.delete_self_enabled.unwrap_or(user.delete_self_enabled);
        user.banned = self.banned.unwrap_or(user.banned);
        match self.locked {
            Some(true) => user.lockout.lock(now),
            Some(false) => user.lockout = Lockout::default(),
            None => {}
        }
        if let Some(id) = self.primary_email {
            let id = id.ok_or(UserError::Primary(EmailRefusal::Unknown))?;
            user.make_primary(id).map_err(UserError::Primary)?;
        }
        match &self.password {
            Some(Some(hash)) => user.set_password(hash.clone(), now),
            Some(None) if user.password_hash.is_none() => return Err(UserError::NoPassword),
            Some(None) => user.remove_password(now),
            None => {}
        }
        self.apply_metadata(user)
    }

    fn apply_metadata(&self, user: &mut User) -> Result<(), UserError> {
        for (name, given, field) in [
            ("public_metadata", &self.public_metadata, &mut user.public_metadata),
            ("private_metadata", &self.private_metadata, &mut user.private_metadata),
            ("unsafe_metadata", &self.unsafe_metadata, &mut user.unsafe_metadata),
        ] {
            let Some(given) = given else { continue };
            match self.merges_metadata {
                true => merge_metadata(field, given),
                false => field.clone_from(given),
            }
            let bytes = serde_json::to_string(field).map_or(0, |text| text.len());
            if bytes > MAX_METADATA_BYTES {
                return Err(UserError::MetadataTooLarge(name, bytes));
            }
        }
        Ok(())
    }
}

/// An address of a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEmail {
    pub email: Email,
    /// Whether the application's backend confirms it. An unverified address identifies the account
    /// only if it is the first one.
    pub is_verified: bool,
}

/// A new account as an interface asks for it.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// `None`: a new id.
    pub id: Option<UserId>,
    /// The first one becomes the primary one.
    pub emails: Vec<NewEmail>,
    pub fields: UserPatch,
}

impl NewUser {
    pub(crate) fn external_id(&self) -> Option<&str> {
        self.fields.external_id.as_ref()?.as_deref()
    }

    /// The addresses that will identify the account.
    pub(crate) fn identifying_emails(&self) -> impl Iterator<Item = &Email> {
        let names = |(index, new): &(usize, &NewEmail)| *index == 0 || new.is_verified;
        self.emails.iter().enumerate().filter(names).map(|(_, new)| &new.email)
    }
}

/// The account to store for `new`.
///
/// # Errors
/// [`UserError`].
pub fn new_user(service: &Service, at: Moment, new: &NewUser) -> Result<User, UserError> {
    let now = at.now;
    let id = new.id.unwrap_or_else(|| UserId::generate(now, &mut service.random()));
    let mut user = User::new(id, now);
    for NewEmail { email, is_verified } in &new.emails {
        let id = EmailAddressId::generate(now, &mut service.random());
        user.add_email(id, email.clone(), is_verified.then_some("admin"), now);
    }
    new.fields.apply(&mut user, now)?;
    // A new user has not changed yet.
    user.updated_at = now;
    Ok(user)
}

/// An account, and when its sessions were last active.
#[derive(Clone, Debug)]
pub struct ActiveUser {
    pub user: User,
    /// Of the sessions that are kept, as it is stored: up to a minute old. The last sign-in where
    /// none is kept.
    pub last_active_at: Option<Timestamp>,
}

impl ActiveUser {
    fn new(user: User, newest: &BTreeMap<UserId, Timestamp>) -> Self {
        Self { last_active_at: newest.get(&user.id).copied().or(user.last_sign_in_at), user }
    }
}

/// Which accounts are asked for.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// `None` is an id that is none.
    pub ids: Vec<Option<UserId>>,
    /// `None` is an address that is none.
    pub emails: Vec<Option<Email>>,
    /// Whether it names what no account has.
    pub names_nobody: bool,
    /// All else.
    pub filter: UserFilter,
}

impl UserQuery {
    /// `None` when nobody can match.
    fn filter(self) -> Option<UserFilter> {
        let nobody = self.names_nobody
            || (!self.ids.is_empty() && self.ids.iter().all(Option::is_none))
            || (!self.emails.is_empty() && self.emails.iter().all(Option::is_none));
        let ids = self.ids.into_iter().flatten().collect();
        let emails = self.emails.into_iter().flatten().collect();
        (!nobody).then_some(UserFilter { ids, emails, ..self.filter })
    }
}

/// The accounts that a query finds, and how many there are without `limit` and `offset`.
///
/// # Errors
/// The store does not answer.
pub async fn list(service: &Service, query: UserQuery) -> Result<(Vec<ActiveUser>, u64), StoreError> {
    let Some(filter) = query.filter() else { return Ok((Vec::new(), 0)) };
    let (users, total) = service.store().users(service.instance_id(), filter).await?;
    let ids = users.iter().map(|user| user.id).collect();
    let newest = service.store().last_activity(service.instance_id(), ids).await?;
    Ok((users.into_iter().map(|user| ActiveUser::new(user, &newest)).collect(), total))
}

pub(crate) async fn active(service: &Service, user: User) -> Result<ActiveUser, StoreError> {
    let newest = service.store().last_activity(service.instance_id(), vec![user.id]).await?;
    Ok(ActiveUser::new(user, &newest))
}

/// How many accounts a query finds.
///
/// # Errors
/// The store does not answer.
pub async fn count(service: &Service, query: UserQuery) -> Result<u64, StoreError> {
    let Some(filter) = query.filter() else { return Ok(0) };
    Ok(service.store().users(service.instance_id(), filter).await?.1)
}

/// One account.
///
/// # Errors
/// [`UserError::Unknown`], also for an id that is none.
pub async fn find(service: &Service, id: Option<UserId>) -> Result<ActiveUser, Failure<UserError>> {
    let user = load(service, id).await?;
    Ok(active(service, user).await?)
}

/// An account.
///
/// # Errors
/// [`UserError::Unknown`], also if `id` is `None`.
pub async fn load(service: &Service, id: Option<UserId>) -> Result<User, Failure<UserError>> {
    let id = id.ok_or(UserError::Unknown)?;
    Ok(service.store().user(service.instance_id(), id).await?.ok_or(UserError::Unknown)?)
}

/// Changes a user. If `ends` is set, ends the sessions for this reason in the same commit.
///
/// # Errors
/// [`UserError`].
pub async fn change(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    id: Option<UserId>,
    ends: Option<EndReason>,
    patch: &UserPatch,
) -> Result<ActiveUser, Failure<UserError>> {
    let user = service
        .retry_on_conflict::<_, Failure<UserError>, _>(|| async {
            // The account first: a sign-in in between writes it too, and conflicts.
            let before = load(service, id).await?;
            let mut user = before.clone();
            patch.apply(&mut user, at.now)?;
            user.changed(at.now);
            let act = Act::on(patch.action(), user.id).fields(user_changes(at.now, &before, &user));
            let mut changes = changed(service.act(at, context, act), &user);
            if let Some(reason) = ends {
                let ending = Ending::revoked(reason, EndedBy::Backend);
                changes = revoke::of_user(service, changes, user.id, None, ending).await?;
            }
            service.commit(changes).await?;
            Ok(user)
        })
        .await?;
    Ok(active(service, user).await?)
}

/// Deletes a user and returns it. Its sessions end in the same commit.
///
/// # Errors
/// [`UserError::Unknown`].
pub async fn delete(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    id: Option<UserId>,
) -> Result<User, Failure<UserError>> {
    service
        .retry_on_conflict(|| async {
            let user = load(service, id).await?;
            // No values: they go with the account.
            let act = Act::on(Action::UserDeleted, user.id);
            let changes = deleted(service, at, &user, EndedBy::Backend).await?.act(context, act);
            service.commit(changes).await?;
            Ok(user)
        })
        .await
}

/// Whether a password is the user's. Failures do not count towards the lockout: a holder of the
/// secret key has no need to guess passwords.
///
/// # Errors
/// [`UserError::Unknown`], [`UserError::NoPassword`], [`UserError::Passwords`].
pub async fn verify_password(
    service: &Service,
    id: Option<UserId>,
    password: Password,
) -> Result<bool, Failure<UserError>> {
    let hash = load(service, id).await?.password_hash.ok_or(UserError::NoPassword)?;
    Ok(service.passwords().verify(password, Some(hash)).await.map_err(UserError::Passwords)?)
}

/// Stores a new user whom an administrator made.
pub fn created_by(service: &Service, context: &AuditContext, at: Moment, user: &User) -> ChangeSet {
    let blank = User::new(user.id, user.created_at);
    let act = Act::on(Action::UserCreated, user.id).fields(user_changes(at.now, &blank, user));
    created(service.act(at, context, act), user)
}

/// Stores a new user.
pub(crate) fn created(changes: ChangeSet, user: &User) -> ChangeSet {
    changes.write(Write::User(user.clone())).event(Event::UserCreated(user.id))
}

/// Stores a user after a change that clients can see.
pub(crate) fn changed(changes: ChangeSet, user: &User) -> ChangeSet {
    changes.write(Write::User(user.clone())).event(Event::UserUpdated(user.id))
}

/// Deletes a user and ends the sessions.
pub(crate) async fn deleted(
    service: &Service,
    at: Moment,
    user: &User,
    by: EndedBy,
) -> Result<ChangeSet, StoreError> {
    // A concurrent sign-in changes the version, so it cannot leave a session of a deleted user.
    let changes = service.changes(at).expect(Expect::User(user.id, user.version));
    let ending = Ending::revoked(EndReason::UserDeleted, by);
    let changes = revoke::of_user(service, changes, user.id, None, ending).await?;
    Ok(changes.write(Write::DeleteUser(user.id)).event(Event::UserDeleted(user.id)))
}
