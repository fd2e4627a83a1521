//! Runs statements on a connection: prepared once, and sent without waiting in between.

use std::error::Error as StdError;

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio_postgres::{
    Row as PgRow, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::failure::{Failure, corrupt, failed};
use crate::{
    error::StoreError,
    sql::{Load, Page, Row, Sql, Unreadable, Value},
};

/// Most statements that are sent before the first answer is read: their
/// futures are polled in order, which decides the order on the wire.
const UNDER_WAY: usize = 24;

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql_checked(kind, out),
            Self::Bool(yes) => yes.to_sql_checked(kind, out),
            // PostgreSQL has no text with this character. Where it matters the document
            // beside has it, escaped.
            Self::Text(text) if text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql_checked(kind, out)
            }
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Hash(hash) => hash.as_slice().to_sql_checked(kind, out),
            Self::Blob(bytes) => bytes.as_slice().to_sql_checked(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

impl Row for PgRow {
    fn text(&self, column: usize) -> Result<Option<&str>, Unreadable> {
        self.try_get(column).map_err(Unreadable::new)
    }

    fn int(&self, column: usize) -> Result<Option<i64>, Unreadable> {
        self.try_get(column).map_err(Unreadable::new)
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Unreadable> {
        self.try_get(column).map_err(Unreadable::new)
    }
}

/// A connection in use. One that is left in the middle of something is not used again.
pub(super) struct Connection {
    object: Option<Object>,
    busy: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.busy
            && let Some(object) = self.object.take()
        {
            // Closing it has the server take back what was begun.
            drop(Object::take(object));
        }
    }
}

/// Something to send.
pub(super) enum Request<'a> {
    /// BEGIN, COMMIT and the like.
    Control(&'static str),
    /// A statement with its parameters; whether rows are asked for.
    Statement(Statement, &'a [Value]),
}

/// What came back: the rows, or how many were changed.
#[derive(Debug)]
pub(super) enum Reply {
    Rows(Vec<PgRow>),
    Changed(u64),
}

impl Reply {
    /// How many rows were found, or changed.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Changed(rows) => usize::try_from(*rows).unwrap_or(usize::MAX),
        }
    }

    /// The rows, read.
    pub(super) fn read<T, const N: usize>(&self, load: &Load<T, N>) -> Result<Vec<T>, Failure> {
        let Self::Rows(rows) = self else { return Ok(Vec::new()) };
        rows.iter().map(|row| (load.read)(row)).collect::<Result<_, _>>().map_err(corrupt(load.sql.table))
    }
}

impl Connection {
    pub(super) fn new(object: Object) -> Self {
        Self { object: Some(object), busy: false }
    }

    fn client(&self) -> Result<&Object, Failure> {
        self.object.as_ref().ok_or_else(|| Failure::Lost("the connection was given back".to_owned()))
    }

    /// Prepares a statement, unless that was done before.
    pub(super) async fn prepare(&self, sql: &Sql) -> Result<Statement, Failure> {
        let none =
            || StoreError::Unavailable(format!("a statement of {} has no text for PostgreSQL", sql.table));
        let text = sql.for_postgres().ok_or_else(none)?;
        self.client()?.prepare_cached(text).await.map_err(|error| failed(&error))
    }

    /// Sends all requests, and then reads what came back, in order. The
    /// connection is in the middle of something until [`Self::done`].
    pub(super) async fn send(
        &mut self,
        requests: &[Request<'_>],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        self.busy = true;
        let client = self.client()?;
        let mut replies = Vec::with_capacity(requests.len());
        for requests in requests.chunks(UNDER_WAY) {
            replies.extend(join_all(requests.iter().map(|request| one(client, request))).await);
        }
        Ok(replies)
    }

    /// Nothing is under way any more: others can use the connection.
    pub(super) fn done(&mut self) {
        self.busy = false;
    }

    /// Runs one statement by itself.
    pub(super) async fn run(&mut self, sql: &Sql, params: &[Value]) -> Result<Reply, Failure> {
        let statement = self.prepare(sql).await?;
        let replies = self.send(&[Request::Statement(statement, params)]).await?;
        self.done();
        replies.into_iter().next().unwrap_or(Ok(Reply::Changed(0)))
    }

    /// The rows of a page, and how many there are in all, of one moment.
    pub(super) async fn page<T>(&mut self, page: &Page<T>) -> Result<(Vec<T>, u64), Failure> {
        let client = self.client()?;
        // Put together from a filter: too many different ones to keep.
        let count = client.prepare(&page.count()).await.map_err(|error| failed(&error))?;
        let list = client.prepare(&page.list()).await.map_err(|error| failed(&error))?;
        let requests = [
            Request::Control(ONE_MOMENT),
            Request::Statement(count, page.params()),
            Request::Statement(list, page.params()),
            Request::Control("COMMIT"),
        ];
        let replies = self.send(&requests).await?;
        let replies: Vec<Reply> = replies.into_iter().collect::<Result<_, _>>()?;
        self.done();
        let mut rows = replies.iter().filter_map(|reply| match reply {
            Reply::Rows(rows) => Some(rows),
            Reply::Changed(_) => None,
        });
        let corrupt = corrupt(page.table);
        let total = rows.next().and_then(|rows| rows.first()).map(|row| crate::sql::row::number(row, 0));
        let total = total.transpose().map_err(&corrupt)?.unwrap_or(0);
        let found = rows.next().into_iter().flatten().map(|row| (page.read)(row));
        Ok((found.collect::<Result<_, _>>().map_err(&corrupt)?, total))
    }
}

/// Begins reading several statements that see one moment.
pub(super) const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

async fn one(client: &Object, request: &Request<'_>) -> Result<Reply, Failure> {
    let reply = match request {
        Request::Control(text) => client.batch_execute(text).await.map(|()| Reply::Changed(0)),
        Request::Statement(statement, params) => {
            let params: Vec<&(dyn ToSql + Sync)> =
                params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
            if statement.columns().is_empty() {
                client.execute(statement, &params).await.map(Reply::Changed)
            } else {
                client.query(statement, &params).await.map(Reply::Rows)
            }
        }
    };
    reply.map_err(|error| failed(&error))
}
