//! How calls reach the writer thread, and how it ends.

use std::sync::PoisonError;

use sojourn_metrics::WRITER_QUEUE;
use tokio::sync::oneshot;

use super::{
    SqliteEngine,
    writer::{Answer, Job, Work},
};
use crate::error::{CommitError, StoreError};

impl SqliteEngine {
    /// Sends work to the writer. The writer does it even if the caller stops waiting.
    pub(super) async fn ask(&self, work: Work) -> Answer {
        let (answer, outcome) = oneshot::channel();
        let job = Job { work, answer: Some(answer), _queued: Some(WRITER_QUEUE.enter()) };
        let gone = || CommitError::Store(StoreError::closed());
        self.jobs.send(job).map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    pub(super) async fn order(&self, work: Work) -> Result<u64, StoreError> {
        self.ask(work).await.map_err(|error| match error {
            CommitError::Store(error) => error,
            refused => StoreError::Unavailable(refused.to_string()),
        })
    }

    /// Waits for the writer thread, which has received `Work::Close`.
    pub(super) fn join(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the writer ended in a panic");
        }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        // Fails if the writer has already ended.
        let _ = self.jobs.send(Job { work: Work::Close, answer: None, _queued: None });
        self.readers.close();
        self.join();
    }
}
