//! The single writer: commits queued jobs in groups and replies after the commit. Each change set
//! has its own savepoint, so that a rejected set does not affect the others.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use sojourn_core::time::{Moment, Timestamp};
use sojourn_metrics::{Inside, Stopwatch, WRITER_COMMITS};
use tokio::sync::oneshot;

use super::{
    apply::apply,
    db::{self, failed},
    file,
    row_cache::RowCache,
};
use crate::{
    activity::{Activity, Batch},
    change::ChangeSet,
    error::{CommitError, StoreError},
    sql::{instances, journal, purge, sessions, statement::Statement},
};

/// The maximum number of jobs per commit, which bounds the latency of the first job.
const GROUP: usize = 128;
/// The maximum number of activity rows per commit.
const ACTIVITY_BATCH: usize = 512;
/// The interval for writing activity and the high-water mark.
const FLUSH_EVERY: Duration = Duration::from_millis(800);
/// Every this many flushes, idle activity is removed from memory.
const TIDY_EVERY: u32 = 30;

/// Work for the writer, and the channel for the reply.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) answer: Option<oneshot::Sender<Answer>>,
    /// Counted until the reply.
    pub(super) _queued: Option<Inside>,
}

impl Job {
    fn is_last(&self) -> bool {
        matches!(self.work, Work::Close)
    }
}

/// The number of affected rows, if the work reports it.
pub(super) type Answer = Result<u64, CommitError>;

#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<ChangeSet>),
    FlushActivity,
    RaiseHighWater(Timestamp),
    Purge {
        at: Moment,
        limit: u32,
    },
    /// Idempotent statements in one savepoint.
    Changes(Vec<Statement>),
    Close,
}

impl Work {
    /// Whether all activity must be stored before this work is done, because it is judged against
    /// the activity in the database.
    fn wants_all_activity(&self) -> bool {
        match self {
            Self::FlushActivity | Self::Close => true,
            Self::Commit(changes) => changes.wants_all_activity(),
            Self::RaiseHighWater(_) | Self::Purge { .. } | Self::Changes(_) => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    activity: Arc<Activity>,
    row_cache: Arc<RowCache>,
    jobs: Receiver<Job>,
    high_water: Option<Timestamp>,
    /// Changes when another connection writes to the file.
    data_version: i64,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        activity: Arc<Activity>,
        row_cache: Arc<RowCache>,
        jobs: Receiver<Job>,
        high_water: Option<Timestamp>,
    ) -> Result<Self, StoreError> {
        let data_version = data_version(&db)?;
        Ok(Self { db, activity, row_cache, jobs, high_water, data_version })
    }

    /// Runs until `Work::Close`, or until all senders are dropped.
    #[expect(clippy::disallowed_methods, reason = "a waiting timer, not the time of anything that is stored")]
    pub(super) fn run(mut self) {
        let mut next_flush = Instant::now() + FLUSH_EVERY;
        let mut flushes = 0_u32;
        loop {
            let wait = next_flush.saturating_duration_since(Instant::now());
            let mut group = Vec::new();
            match self.jobs.recv_timeout(wait) {
                Ok(job) => group.push(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    group.push(Job { work: Work::Close, answer: None, _queued: None });
                }
            }
            while group.len() < GROUP
                && let Ok(job) = self.jobs.try_recv()
            {
                group.push(job);
            }
            let flush = Instant::now() >= next_flush;
            if flush {
                self.look_for_others();
            }
            let mut batch = Batch::new();
            if group.iter().any(|job| job.work.wants_all_activity()) {
                self.activity.make_all_due();
                batch = self.activity.take_due(usize::MAX);
            } else if flush {
                flushes = flushes.wrapping_add(1);
                if flushes.is_multiple_of(TIDY_EVERY) {
                    self.activity.tidy();
                }
                batch = self.activity.take_due(ACTIVITY_BATCH);
            }
            // A full batch means that more is due: flush again without waiting.
            if flush && batch.len() != ACTIVITY_BATCH {
                next_flush = Instant::now() + FLUSH_EVERY;
            }
            if self.commit_group(group, &batch, flush) {
                if let Err(error) = file::checkpoint(&self.db) {
                    // The write-ahead log stays beside the file; SQLite recovers it at the next
                    // start.
                    tracing::warn!(%error, "the write-ahead log could not be moved into the database");
                }
                return;
            }
        }
    }

    /// Commits a group of jobs and replies to each. Returns whether `Work::Close` was among them.
    fn commit_group(&mut self, mut group: Vec<Job>, batch: &Batch, flush: bool) -> bool {
        match self.transact(&group, batch, flush) {
            Ok(outcomes) => {
                self.activity.written(batch);
                self.row_cache.end_commit();
                let last = group.iter().any(Job::is_last);
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    if let (Work::Commit(changes), Ok(_)) = (&job.work, &outcome) {
                        self.activity.remember(changes);
                    }
                    reply(job, outcome);
                }
                last
            }
            Err(error) => {
                tracing::error!(%error, jobs = group.len(), "a group of changes could not be committed");
                self.activity.put_back(batch);
                // A COMMIT that failed may still be durable, so cached rows may be stale.
                self.row_cache.clear();
                if !self.db.is_autocommit()
                    && let Err(error) = self.db.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "the transaction could not be rolled back");
                }
                // Jobs that were queued meanwhile have waited for one timeout; fail them too, so
                // that no caller waits for two.
                group.extend(self.jobs.try_iter());
                let last = group.iter().any(Job::is_last);
                for job in group {
                    reply(job, Err(CommitError::Store(again(&error))));
                }
                last
            }
        }
    }

    /// Removes the changed rows from the cache, before COMMIT.
    fn forget_changed(&self, group: &[Job], outcomes: &[Answer]) {
        let mut done = Vec::new();
        let mut purged = false;
        for (job, outcome) in group.iter().zip(outcomes) {
            match (&job.work, outcome) {
                (Work::Commit(changes), Ok(_)) => done.push(&**changes),
                (Work::Purge { .. }, Ok(rows)) => purged |= *rows > 0,
                // `Work::Changes` writes leases and sessions that ended long ago: not cached.
                _ => {}
            }
        }
        if purged || !done.is_empty() {
            self.row_cache.begin_commit(done.into_iter(), purged);
        }
    }

    /// Clears the cache if another program, such as an operator's shell, wrote to the file.
    fn look_for_others(&mut self) {
        match data_version(&self.db) {
            Ok(found) if found == self.data_version => {}
            Ok(found) => {
                self.data_version = found;
                self.row_cache.clear();
                tracing::warn!("another program wrote to the database; the row cache was cleared");
            }
            Err(error) => {
                self.row_cache.clear();
                tracing::error!(%error, "could not check whether another program wrote to the database");
            }
        }
    }

    fn transact(&mut self, group: &[Job], batch: &Batch, flush: bool) -> Result<Vec<Answer>, StoreError> {
        let lags = |now: Timestamp, by: Duration| {
            self.high_water.is_none_or(|stored| stored < now && now.since(stored) >= by)
        };
        let seen = self
            .activity
            .newest()
            .filter(|now| (flush || !batch.is_empty()) && lags(*now, Duration::from_secs(1)));
        if group.is_empty() && batch.is_empty() && seen.is_none() {
            return Ok(Vec::new());
        }
        let started = Stopwatch::start();
        self.control("BEGIN IMMEDIATE")?;
        // Before the jobs: changed settings are judged against the stored activity.
        for ((instance, session), at) in batch {
            db::execute(&self.db, &sessions::touch(*instance, *session, *at))?;
        }
        let mut outcomes = Vec::with_capacity(group.len());
        let mut newest = seen;
        for job in group {
            let outcome = self.perform(&job.work);
            if outcome.is_ok() {
                newest = newest.max(match &job.work {
                    Work::Commit(changes) => Some(changes.at.wall),
                    Work::RaiseHighWater(now) => Some(*now),
                    _ => None,
                });
            }
            if let Err(CommitError::Store(error)) = &outcome
                && self.db.is_autocommit()
            {
                // SQLite rolled back the whole transaction, including the other sets.
                return Err(again(error));
            }
            outcomes.push(outcome);
        }
        let newest = newest.filter(|now| lags(*now, Duration::ZERO));
        if let Some(now) = newest {
            db::execute(&self.db, &journal::raise_high_water(now))?;
        }
        self.forget_changed(group, &outcomes);
        self.control("COMMIT")?;
        WRITER_COMMITS.observe(0, started.elapsed());
        self.high_water = self.high_water.max(newest);
        Ok(outcomes)
    }

    fn perform(&self, work: &Work) -> Answer {
        match work {
            Work::Commit(changes) => {
                self.in_savepoint(|| apply(&self.db, &self.activity, changes)).map(|()| 0)
            }
            Work::Purge { at, limit } => self.in_savepoint(|| {
                let mut removed = 0;
                for command in purge::everywhere(*at, *limit) {
                    removed += db::execute(&self.db, &command)?;
                }
                for instance in db::all(&self.db, &instances::all())? {
                    for statement in purge::of_instance(instance.id, *at, *limit) {
                        removed += db::rows(&self.db, statement.sql, &statement.params)?;
                    }
                }
                Ok(removed as u64)
            }),
            Work::Changes(statements) => self.in_savepoint(|| {
                let texts = statements.iter().filter(|statement| statement.sql.for_sqlite().is_some());
                let rows = texts.map(|statement| db::rows(&self.db, statement.sql, &statement.params));
                Ok(rows.sum::<Result<usize, _>>()? as u64)
            }),
            Work::FlushActivity | Work::RaiseHighWater(_) | Work::Close => Ok(0),
        }
    }

    fn in_savepoint<T>(&self, work: impl FnOnce() -> Result<T, CommitError>) -> Result<T, CommitError> {
        self.control("SAVEPOINT one")?;
        let outcome = work();
        if outcome.is_err() && !self.db.is_autocommit() {
            self.control("ROLLBACK TO one")?;
        }
        if !self.db.is_autocommit() {
            self.control("RELEASE one")?;
        }
        outcome
    }

    fn control(&self, statement: &'static str) -> Result<(), StoreError> {
        let run = || self.db.prepare_cached(statement)?.execute([]);
        run().map(drop).map_err(failed("transaction"))
    }
}

fn data_version(db: &Connection) -> Result<i64, StoreError> {
    db.prepare_cached("PRAGMA data_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(failed("file"))
}

fn reply(job: Job, outcome: Answer) {
    if let Some(answer) = job.answer {
        // The caller may have stopped waiting; the result is committed anyway.
        let _ = answer.send(outcome);
    }
}

/// A copy of the error for another job (`StoreError` is not `Clone`).
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Corrupt { table, reason } => StoreError::Corrupt { table, reason: reason.clone() },
        StoreError::Unavailable(reason) => StoreError::Unavailable(reason.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use sojourn_core::{
        id::{InstanceId, UserId},
        testing::SeededRng,
        user::User,
    };

    use super::*;
    use crate::{
        change::Write,
        records::{Environment, Instance},
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    /// Runs one job of the writer on this thread.
    fn perform(writer: &mut Writer, work: Work) -> Answer {
        let (answer, mut outcome) = oneshot::channel();
        writer.commit_group(vec![Job { work, answer: Some(answer), _queued: None }], &Batch::new(), false);
        outcome.try_recv().expect("every job is answered")
    }

    #[test]
    fn r_03_a_full_disk_refuses_and_heals_without_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        let (_jobs, queue) = mpsc::channel();
        let (activity, row_cache) = (Arc::new(Activity::default()), Arc::new(RowCache::new()));
        let mut writer = Writer::new(db, activity, row_cache, queue, None).expect("a database");
        let mut rng = SeededRng::new(3);
        let instance = InstanceId::generate(at(0), &mut rng);
        let row = Instance {
            id: instance,
            environment: Environment::Production,
            host: "clerk.example.com".to_owned(),
            created_at: at(0),
        };
        let set = ChangeSet::new(instance, Moment::real(at(0)), &mut rng).write(Write::InsertInstance(row));
        perform(&mut writer, Work::Commit(Box::new(set))).expect("there is room");

        let mut user = User::new(UserId::generate(at(1), &mut rng), at(1));
        user.first_name = Some("x".repeat(200_000));
        let set = ChangeSet::new(instance, Moment::real(at(1)), &mut rng).write(Write::User(user.clone()));
        let pages: u32 =
            writer.db.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a number");
        let limit = |writer: &Writer, pages: u32| {
            writer.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("a limit");
        };
        limit(&writer, pages + 2);
        let outcome = perform(&mut writer, Work::Commit(Box::new(set.clone())));
        let unavailable = matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_))));
        assert!(unavailable, "{outcome:?}");
        assert!(writer.db.is_autocommit());
        limit(&writer, 1_000_000);
        perform(&mut writer, Work::Commit(Box::new(set))).expect("healed, and the same set goes in");
    }

    #[test]
    fn a_refused_set_spoils_no_other_of_its_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        let (_jobs, queue) = mpsc::channel();
        let (activity, row_cache) = (Arc::new(Activity::default()), Arc::new(RowCache::new()));
        let mut writer = Writer::new(db, activity, row_cache, queue, None).expect("a database");
        let mut rng = SeededRng::new(4);
        let mut outcomes = Vec::new();
        let mut group = Vec::new();
        // Every second set refers to an instance that does not exist.
        for secs in 0..10 {
            let instance = InstanceId::generate(at(secs), &mut rng);
            let row = Instance {
                id: instance,
                environment: Environment::Production,
                host: "clerk.example.com".to_owned(),
                created_at: at(secs),
            };
            let set = ChangeSet::new(instance, Moment::real(at(secs)), &mut rng);
            let set = set.write(if secs % 2 == 0 { Write::InsertInstance(row) } else { Write::ClearMails });
            let (answer, outcome) = oneshot::channel();
            outcomes.push(outcome);
            group.push(Job { work: Work::Commit(Box::new(set)), answer: Some(answer), _queued: None });
        }
        writer.commit_group(group, &Batch::new(), false);
        let refused: Vec<bool> = outcomes
            .into_iter()
            .map(|mut outcome| outcome.try_recv().expect("every job is answered").is_err())
            .collect();
        assert_eq!(refused, [false, true].repeat(5));
        assert_eq!(db::all(&writer.db, &instances::all()).expect("a load").len(), 5);
        assert_eq!(writer.high_water, Some(at(8)));
    }
}
