//! State that the engine and its background task share: it applies change sets and writes activity.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use deadpool_postgres::Pool;
use sojourn_core::{
    id::{InstanceId, SessionId},
    policy::Policy,
    session::ClosedStatus,
    settings::Settings,
    time::Timestamp,
};
use tokio::time::{sleep, timeout};

use super::{
    connection::{Begin, Connection, Reply, Request},
    failure::Failure,
    pool::{self, QUERY_TIMEOUT, Session},
};
use crate::{
    activity::{self, Activity, Batch},
    change::{ChangeSet, Write},
    error::{CommitError, StoreError},
    records::policy_of,
    settings_cache::SettingsCache,
    sql::{
        change_set,
        instances::{self, Newest},
        journal,
        list::Page,
        sessions,
        statement::{Command, Outcome, Query, Statement},
        value::Value,
    },
};

/// The maximum number of attempts after serialization failures and deadlocks.
const TRIES: u32 = 8;
/// The interval for asking whether a commit was applied.
const RETRY_UNKNOWN: Duration = Duration::from_millis(50);
/// The maximum number of activity rows per flush.
const ACTIVITY_BATCH: usize = 512;
/// The maximum number of activity rows per transaction, which bounds how long their locks are held.
const ACTIVITY_GROUP: usize = 64;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: Pool,
    session: Session,
    pub(super) activity: Activity,
    settings: SettingsCache,
    /// Held while activity is written, so that a flush of all activity also waits for a running
    /// flush.
    flushing: tokio::sync::Mutex<()>,
    /// The high-water mark that is certainly stored, in milliseconds.
    high_water: AtomicI64,
    closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(pool: Pool, session: Session) -> Self {
        Self {
            pool,
            session,
            activity: Activity::default(),
            settings: SettingsCache::default(),
            flushing: tokio::sync::Mutex::default(),
            high_water: AtomicI64::new(i64::MIN),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes the engine. Returns whether it was open.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    pub(super) async fn connection(&self) -> Result<Connection, Failure> {
        let object = pool::connection(&self.pool).await?;
        Ok(Connection::new(object, self.session))
    }

    /// Runs an idempotent operation with a timeout, and retries once if the connection was lost or
    /// the transaction failed because of others.
    pub(super) async fn with_timeout<T, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        if self.is_closed() {
            return Err(StoreError::closed());
        }
        let twice = async {
            match work().await {
                Err(Failure::Lost(_) | Failure::InTheWay) => work().await,
                other => other,
            }
        };
        match timeout(QUERY_TIMEOUT, twice).await {
            Ok(outcome) => outcome.map_err(StoreError::from),
            Err(_) => Err(too_late()),
        }
    }

    /// All rows.
    pub(super) async fn all<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Vec<T>, StoreError> {
        self.with_timeout(|| async move {
            self.connection().await?.run(query.sql, &query.params).await?.read(query)
        })
        .await
    }

    /// The first row, if any.
    pub(super) async fn first<T, const N: usize>(
        &self,
        query: &Query<T, N>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(query).await?.into_iter().next())
    }

    /// One page of a list, and the total number of rows.
    pub(super) async fn page<T>(&self, page: &Page<T>) -> Result<(Vec<T>, u64), StoreError> {
        self.with_timeout(|| async move { self.connection().await?.page(page).await }).await
    }

    /// The rows of one page of a list.
    pub(super) async fn listed<T>(&self, page: &Page<T>) -> Result<Vec<T>, StoreError> {
        self.with_timeout(|| async move { self.connection().await?.listed(page).await }).await
    }

    /// Runs one idempotent statement and returns the number of changed rows.
    pub(super) async fn execute<const N: usize>(&self, command: &Command<N>) -> Result<u64, StoreError> {
        let work = || async move { self.connection().await?.run(command.sql, &command.params).await };
        Ok(self.with_timeout(work).await?.count() as u64)
    }

    /// The settings up to the version `newest`.
    pub(super) async fn settings_at(
        &self,
        instance: InstanceId,
        newest: Option<Newest>,
    ) -> Result<(Settings, Policy), StoreError> {
        let Some(newest) = newest else { return policy_of(Vec::new()) };
        if let Some(known) = self.settings.get(instance, newest) {
            return Ok(known);
        }
        let mut versions = self.all(&instances::settings(instance)).await?;
        // Another node may have added a version since the number was read.
        versions.retain(|settings| settings.version <= newest.0);
        let found = policy_of(versions)?;
        self.activity.set_coarseness(instance, activity::coarseness(&found.0));
        self.settings.put(instance, newest, found.clone());
        Ok(found)
    }

    /// Applies a set or rejects it.
    pub(super) async fn commit(&self, changes: &ChangeSet) -> Result<(), CommitError> {
        if self.is_closed() {
            return Err(StoreError::closed().into());
        }
        // The change is judged against the activity in the database, so store all activity first.
        if changes.wants_all_activity() {
            self.flush(true).await?;
        }
        let commit = CommitProgress::default();
        match timeout(QUERY_TIMEOUT, self.commit_with_retry(changes, &commit)).await {
            Ok(outcome) => outcome?,
            Err(_) if commit.may_be_durable() => return Err(outcome_unknown(changes)),
            Err(_) => return Err(too_late().into()),
        }
        self.activity.remember(changes);
        Ok(())
    }

    async fn commit_with_retry(
        &self,
        changes: &ChangeSet,
        commit: &CommitProgress,
    ) -> Result<(), CommitError> {
        let mut lost = false;
        for attempt in 1.. {
            match self.attempt(changes, commit).await {
                Err(Failed::By(Failure::InTheWay)) if attempt < TRIES => {
                    sleep(Duration::from_millis(u64::from(attempt) * 3)).await;
                }
                // The commit may have been applied. The same set is sent again; its commit id shows
                // which.
                Err(Failed::By(Failure::Lost(_))) if !lost => lost = true,
                // Only the database knows whether the commit was applied. A restart takes less time
                // than QUERY_TIMEOUT, so ask until it has passed.
                Err(Failed::By(_)) if commit.may_be_durable() => sleep(RETRY_UNKNOWN).await,
                Err(Failed::By(failure)) => return Err(failure.into()),
                Err(Failed::Refused(refusal)) => return Err(refusal),
                Ok(()) => break,
            }
        }
        Ok(())
    }

    async fn attempt(&self, changes: &ChangeSet, commit: &CommitProgress) -> Result<(), Failed> {
        let instance = changes.instance_id;
        let in_memory = |session| self.activity.get(&(instance, session));
        let statements = change_set::statements(changes, in_memory).map_err(Failed::Refused)?;
        let mut connection = self.connection().await?;
        let outcome = match transact(&mut connection, &statements).await {
            Ok(outcome) => outcome,
            Err(Failure::InTheWay) => {
                end(&mut connection, "ROLLBACK").await?;
                return Err(Failure::InTheWay.into());
            }
            Err(failure) => return Err(failure.into()),
        };
        let outcome = match outcome {
            // Activity that arrived meanwhile prevents a closing for inactivity.
            Outcome::Next if seen_since(changes, in_memory) => Outcome::Refused(CommitError::Conflict),
            other => other,
        };
        match outcome {
            Outcome::Next => {
                commit.sent();
                let answer = end(&mut connection, "COMMIT").await;
                if !matches!(answer, Err(Failure::Lost(_))) {
                    commit.answered();
                }
                return Ok(answer?);
            }
            // The database answered, so earlier attempts are either applied or never will be.
            Outcome::Applied | Outcome::Refused(_) => commit.answered(),
        }
        end(&mut connection, "ROLLBACK").await?;
        match outcome {
            Outcome::Refused(refusal) => Err(Failed::Refused(refusal)),
            Outcome::Next | Outcome::Applied => Ok(()),
        }
    }

    /// Writes due activity, or all, and the high-water mark. Returns whether there may be more.
    pub(super) async fn flush(&self, all: bool) -> Result<bool, StoreError> {
        let _alone = self.flushing.lock().await;
        if all {
            self.activity.make_all_due();
        }
        let batch = self.activity.take_due(if all { usize::MAX } else { ACTIVITY_BATCH });
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let (group, later) = rest.split_at(rest.len().min(ACTIVITY_GROUP));
            let touch = |((instance, session), at): &((InstanceId, SessionId), Timestamp)| {
                sessions::touch(*instance, *session, *at).into()
            };
            // All nodes write rows in the order of their keys, so that they cannot deadlock.
            let statements: Vec<Statement> = group.iter().map(touch).collect();
            if let Err(error) = self.with_timeout(|| self.write(&statements)).await {
                self.activity.put_back(rest);
                return Err(error);
            }
            self.activity.written(&Batch::from(group));
            rest = later;
        }
        if let Some(newest) = self.activity.newest() {
            self.raise_high_water(newest).await?;
        }
        Ok(batch.len() == ACTIVITY_BATCH)
    }

    /// Raises the stored high-water mark, unless it is certainly as high.
    pub(super) async fn raise_high_water(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.high_water.load(Ordering::Acquire) < now.as_millis() {
            self.execute(&journal::raise_high_water(now)).await?;
            self.high_water.fetch_max(now.as_millis(), Ordering::AcqRel);
        }
        Ok(())
    }

    /// Numbers events that have no sequence number, in a permanent order.
    pub(super) async fn number_events(&self, instance: InstanceId) -> Result<(), Failure> {
        const TOGETHER: u32 = 500;
        let statements = [journal::lock_outbox(instance), journal::number_events(instance, TOGETHER)];
        while self.write(&statements).await? == TOGETHER as usize {}
        Ok(())
    }

    /// Runs statements in one transaction without expected row counts. Returns the row count of the
    /// last one.
    async fn write(&self, statements: &[Statement]) -> Result<usize, Failure> {
        let mut connection = self.connection().await?;
        let mut last = 0;
        for reply in send_statements(&mut connection, statements).await? {
            last = reply?.count();
        }
        end(&mut connection, "COMMIT").await?;
        Ok(last)
    }
}

/// Why an attempt to apply a set failed.
enum Failed {
    By(Failure),
    Refused(CommitError),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::By(failure)
    }
}

/// Whether COMMIT was sent without a response.
#[derive(Debug, Default)]
struct CommitProgress(AtomicBool);

impl CommitProgress {
    fn sent(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn answered(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn may_be_durable(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

fn outcome_unknown(changes: &ChangeSet) -> CommitError {
    CommitError::OutcomeUnknown { commit_id: changes.id }
}

fn too_late() -> StoreError {
    StoreError::Unavailable("it did not answer in time".to_owned())
}

/// Sends BEGIN and all statements.
async fn send_statements(
    connection: &mut Connection,
    statements: &[Statement],
) -> Result<impl Iterator<Item = Result<Reply, Failure>> + use<>, Failure> {
    let mut requests = vec![Request::Begin(Begin::Write)];
    for statement in statements {
        let params: &[Value] = &statement.params;
        requests.push(connection.statement(statement.sql, params).await?);
    }
    Ok(connection.send(&requests).await?.into_iter())
}

/// Ends a transaction.
async fn end(connection: &mut Connection, word: &'static str) -> Result<(), Failure> {
    for reply in connection.send(&[Request::Control(word)]).await? {
        reply?;
    }
    connection.done();
    Ok(())
}

/// Runs the statements of a set up to the commit.
async fn transact(connection: &mut Connection, statements: &[Statement]) -> Result<Outcome, Failure> {
    let mut replies = send_statements(connection, statements).await?;
    // The reply to BEGIN.
    replies.next().transpose()?;
    for (statement, reply) in statements.iter().zip(replies) {
        match statement.expected_rows.check(reply?.count()) {
            Outcome::Next => {}
            other => return Ok(other),
        }
    }
    Ok(Outcome::Next)
}

/// Whether a session that the set closes for inactivity was active after the decision.
fn seen_since(changes: &ChangeSet, in_memory: impl Fn(SessionId) -> Option<Timestamp>) -> bool {
    changes.writes.iter().any(|write| match write {
        Write::CloseSession(row) => {
            let abandoned = row.closed.is_some_and(|closing| closing.status == ClosedStatus::Abandoned);
            abandoned && in_memory(row.id).is_some_and(|at| at > row.last_active_at)
        }
        _ => false,
    })
}
