//! Accounts: made, changed and deleted, by whomever.

use serde_json::{Map, Value};
use sojourn_core::{
    email::Email,
    event::Event,
    factor::Lockout,
    id::{EmailAddressId, UserId},
    password::Password,
    session::{EndReason, EndedBy, Ending},
    time::{Moment, Timestamp},
    user::{EmailRefusal, PasswordHash, User, merge_metadata},
};
use sojourn_store::{ChangeSet, Engine as _, Expect, StoreError, Write};

use crate::{
    instance::Service,
    outcome::{Failure, Reason},
    passwords::PasswordsError,
    sessions::revoke,
};

/// Most bytes of one kind of metadata, as JSON: it travels with every client.
pub const MAX_METADATA_BYTES: usize = 8192;

/// Why an account is not made, or stays as it is.
#[derive(Debug)]
pub enum UserError {
    /// There is no such account.
    Unknown,
    /// The account has no address of the id that is to be the primary one, or may
    /// not have it as that.
    Primary(EmailRefusal),
    /// The account has no password.
    NoPassword,
    /// Metadata of this name would have so many bytes.
    MetadataTooLarge(&'static str, usize),
    /// The password cannot be checked.
    Passwords(PasswordsError),
}

impl Reason for UserError {}

/// What to change of an account. An outer `None` leaves the field as it is.
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
    /// An inner `None` is an id that is none.
    pub primary_email: Option<Option<EmailAddressId>>,
    /// An inner `None` takes the password away.
    pub password: Option<Option<PasswordHash>>,
    pub public_metadata: Option<Map<String, Value>>,
    pub private_metadata: Option<Map<String, Value>>,
    pub unsafe_metadata: Option<Map<String, Value>>,
    /// Metadata is merged, objects deeply, and null deletes a key; else it is replaced.
    pub merges_metadata: bool,
}

impl UserPatch {
    /// Changes `user`.
    ///
    /// # Errors
    /// [`UserError`]; `user` may be changed in part.
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

/// An account for `emails`, which are verified: the application vouches for them.
///
/// # Errors
/// [`UserError`].
pub fn new_user(
    service: &Service,
    at: Moment,
    emails: Vec<Email>,
    fields: &UserPatch,
) -> Result<User, UserError> {
    let now = at.now;
    let mut user = User::new(UserId::generate(now, &mut service.random()), now);
    for email in emails {
        user.add_email(EmailAddressId::generate(now, &mut service.random()), email, Some("admin"), now);
    }
    fields.apply(&mut user, now)?;
    // Nothing has changed yet.
    user.updated_at = now;
    Ok(user)
}

/// An account.
///
/// # Errors
/// [`UserError::Unknown`], also for an id that is none.
pub async fn load(service: &Service, id: Option<UserId>) -> Result<User, Failure<UserError>> {
    let id = id.ok_or(UserError::Unknown)?;
    Ok(service.store().user(service.instance_id(), id).await?.ok_or(UserError::Unknown)?)
}

/// Changes an account, and ends its sessions for the reason `ends` in the same commit.
///
/// # Errors
/// [`UserError`].
pub async fn change(
    service: &Service,
    at: Moment,
    id: Option<UserId>,
    ends: Option<EndReason>,
    patch: &UserPatch,
) -> Result<User, Failure<UserError>> {
    service
        .retry_on_conflict(|| async {
            // The account first: a sign-in in between writes it too, and conflicts.
            let mut user = load(service, id).await?;
            patch.apply(&mut user, at.now)?;
            user.changed(at.now);
            let mut changes = changed(service.changes(at), &user);
            if let Some(reason) = ends {
                let ending = Ending::revoked(reason, EndedBy::Backend);
                changes = revoke::of_user(service, changes, user.id, None, ending).await?;
            }
            service.commit(changes).await?;
            Ok(user)
        })
        .await
}

/// Deletes an account, and gives it back as it was. Its sessions end in the same commit.
///
/// # Errors
/// [`UserError::Unknown`].
pub async fn delete(service: &Service, at: Moment, id: Option<UserId>) -> Result<User, Failure<UserError>> {
    service
        .retry_on_conflict(|| async {
            let user = load(service, id).await?;
            service.commit(deleted(service, at, &user, EndedBy::Backend).await?).await?;
            Ok(user)
        })
        .await
}

/// Whether a password is the account's. Wrong ones lock nobody out: who holds a
/// secret key guesses no passwords.
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

/// Stores a new account.
pub fn created(changes: ChangeSet, user: &User) -> ChangeSet {
    changes.write(Write::User(user.clone())).event(Event::UserCreated(user.id))
}

/// Stores an account that others can see to have changed.
pub(crate) fn changed(changes: ChangeSet, user: &User) -> ChangeSet {
    changes.write(Write::User(user.clone())).event(Event::UserUpdated(user.id))
}

/// The end of an account and of its sessions.
pub(crate) async fn deleted(
    service: &Service,
    at: Moment,
    user: &User,
    by: EndedBy,
) -> Result<ChangeSet, StoreError> {
    let changes = service.changes(at).expect(Expect::User(user.id, user.version));
    let ending = Ending::revoked(EndReason::UserDeleted, by);
    let changes = revoke::of_user(service, changes, user.id, None, ending).await?;
    Ok(changes.write(Write::DeleteUser(user.id)).event(Event::UserDeleted(user.id)))
}
