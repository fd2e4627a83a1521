//! Many users at once, brought along from another system. A batch is one commit, and a repeated
//! batch creates nothing: a row whose account exists is reported as such.

use std::collections::HashMap;

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    email::Email,
    event::Event,
    id::UserId,
    time::Moment,
    user::User,
};
use sojourn_store::{ChangeSet, CommitError, Engine as _, UserFilter, Write};

use crate::{
    instance::Service,
    users::{NewUser, UserError, new_user},
};

/// The maximum number of rows of one batch.
pub const MAX_ROWS: usize = 500;

/// The identifier by which an account was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    Id,
    ExternalId,
    EmailAddress,
}

/// What became of a row.
#[derive(Debug)]
pub enum RowOutcome {
    Created(UserId),
    /// The account exists and is not changed.
    Exists(UserId, MatchedBy),
    /// The identifiers of the row belong to two accounts: this kind to this one, that to that.
    Contradiction([(UserId, MatchedBy); 2]),
    Refused(UserError),
}

/// How a batch is imported.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Decides and writes nothing.
    pub dry_run: bool,
    /// Whether `user.created` is recorded for each new account, which webhooks report.
    pub events: bool,
}

/// Creates the accounts that do not exist, in one commit. A row that repeats an identifier of an
/// earlier row of the batch finds the account of that row.
///
/// # Errors
/// The store fails, or other writers claim the same identifiers again and again.
pub async fn import(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    rows: &[NewUser],
    options: ImportOptions,
) -> Result<Vec<RowOutcome>, CommitError> {
    service
        .retry_on_conflict(|| async {
            let mut known = Known::load(service, rows).await?;
            let mut changes = service.changes(at);
            let outcomes: Vec<RowOutcome> =
                rows.iter().map(|row| known.decide(service, at, row, options, &mut changes)).collect();
            // Two batches that claim the same addresses lock them in the same order: otherwise each
            // could wait for the other in PostgreSQL.
            changes.writes.sort_by_cached_key(|write| match write {
                Write::User(user) => user.primary_email().map(|address| address.email.clone()),
                _ => None,
            });
            if !options.dry_run && !changes.is_empty() {
                let created = outcomes.iter().filter(|outcome| matches!(outcome, RowOutcome::Created(_)));
                let act = Act::on(Action::UsersImported, service.instance_id());
                let changes = changes.act(context, act.field("users", 0, created.count()));
                match service.commit(changes).await {
                    // Somebody else claimed an identifier meanwhile: its account is found next time.
                    Err(CommitError::Taken(_)) => return Err(CommitError::Conflict),
                    committed => committed?,
                }
            }
            Ok(outcomes)
        })
        .await
}

/// The accounts that have an identifier of the batch.
#[derive(Debug, Default)]
struct Known {
    ids: HashMap<UserId, UserId>,
    external_ids: HashMap<String, UserId>,
    emails: HashMap<Email, UserId>,
}

impl Known {
    async fn load(service: &Service, rows: &[NewUser]) -> Result<Self, CommitError> {
        let ids = rows.iter().filter_map(|row| row.id).collect();
        let external_ids = rows.iter().filter_map(NewUser::external_id).map(str::to_owned).collect();
        let emails = rows.iter().flat_map(NewUser::identifying_emails).cloned().collect();
        let mut known = Self::default();
        for filter in [
            UserFilter { ids, ..UserFilter::default() },
            UserFilter { external_ids, ..UserFilter::default() },
            UserFilter { emails, ..UserFilter::default() },
        ] {
            // An empty filter would find everybody.
            if filter.ids.is_empty() && filter.external_ids.is_empty() && filter.emails.is_empty() {
                continue;
            }
            let filter = UserFilter { limit: u32::MAX >> 1, ..filter };
            for user in service.store().users(service.instance_id(), filter).await?.0 {
                known.note(&user);
            }
        }
        Ok(known)
    }

    fn note(&mut self, user: &User) {
        self.ids.insert(user.id, user.id);
        if let Some(external_id) = &user.external_id {
            self.external_ids.insert(external_id.clone(), user.id);
        }
        self.emails.extend(user.identifying_emails().map(|address| (address.email.clone(), user.id)));
    }

    fn decide(
        &mut self,
        service: &Service,
        at: Moment,
        row: &NewUser,
        options: ImportOptions,
        changes: &mut ChangeSet,
    ) -> RowOutcome {
        let by_id = row.id.and_then(|id| self.ids.get(&id)).map(|id| (*id, MatchedBy::Id));
        let by_external_id = row.external_id().and_then(|external_id| self.external_ids.get(external_id));
        let by_external_id = by_external_id.map(|id| (*id, MatchedBy::ExternalId));
        let by_email = row.identifying_emails().filter_map(|email| self.emails.get(email));
        let by_email = by_email.map(|id| (*id, MatchedBy::EmailAddress));
        let found: Vec<_> = by_id.into_iter().chain(by_external_id).chain(by_email).collect();
        if let Some(first) = found.first() {
            return match found.iter().find(|other| other.0 != first.0) {
                Some(other) => RowOutcome::Contradiction([*first, *other]),
                None => RowOutcome::Exists(first.0, first.1),
            };
        }
        match new_user(service, at, row) {
            Ok(user) => {
                self.note(&user);
                let id = user.id;
                changes.writes.push(Write::User(user));
                changes.events.extend(options.events.then_some(Event::UserCreated(id)));
                RowOutcome::Created(id)
            }
            Err(error) => RowOutcome::Refused(error),
        }
    }
}
