//! Runs statements on a connection: prepared once where the connection keeps that,
//! and sent without waiting in between.

use std::{error::Error as StdError, pin::pin};

use deadpool_postgres::Object;
use futures_util::{TryStreamExt as _, future::join_all};
use tokio_postgres::{
    Row as PgRow, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    failure::{Failure, corrupt, failed},
    pool::Session,
};
use crate::{
    error::StoreError,
    sql::{
        list::Page,
        row::{Row, Unreadable},
        statement::{Dialect, Query, Sql},
        value::Value,
    },
};

/// Most statements that are sent before the first answer is read: their
/// futures are polled in order, which decides the order on the wire.
const UNDER_WAY: usize = 24;

impl Value {
    /// How it is sent where the server was not asked what it wants.
    const fn kind(&self) -> Type {
        match self {
            // The server looks where it stands.
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Bool(_) => Type::BOOL,
            Self::Text(_) => Type::TEXT,
            Self::Hash(_) | Self::Blob(_) => Type::BYTEA,
        }
    }
}

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
        [Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA, Type::UNKNOWN].contains(kind)
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
    session: Session,
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
    /// COMMIT and the like.
    Control(&'static str),
    /// Begins a transaction.
    Begin(Begin),
    /// A statement that the connection has prepared, with its parameters.
    Prepared(Statement, &'a [Value]),
    /// A statement that is read and done at once, with its parameters.
    Text(&'a str, &'a [Value]),
}

/// How a transaction begins. A session behind a pooler has no limits of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// Each statement sees what was committed before it, so that a row that was
    /// waited for is judged as it is.
    Write,
    /// Several statements that see one moment.
    Read,
}

impl Begin {
    const fn text(self, session: Session) -> &'static str {
        match (self, session) {
            (Self::Write, Session::Direct) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            (Self::Read, Session::Direct) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Self::Write, Session::Pooled) => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                 SET LOCAL statement_timeout = 4000; SET LOCAL idle_in_transaction_session_timeout = 10000"
            }
            (Self::Read, Session::Pooled) => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                 SET LOCAL statement_timeout = 4000; SET LOCAL idle_in_transaction_session_timeout = 10000"
            }
        }
    }
}

/// What came back: the rows, and how many were found or changed.
#[derive(Debug, Default)]
pub(super) struct Reply {
    rows: Vec<PgRow>,
    count: u64,
}

impl Reply {
    /// How many rows were found, or changed.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// The rows, read.
    pub(super) fn read<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Vec<T>, Failure> {
        self.rows_as(query.sql.table, query.read)
    }

    fn rows_as<T>(
        &self,
        table: &'static str,
        read: impl Fn(&dyn Row) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Failure> {
        self.rows.iter().map(|row| read(row)).collect::<Result<_, _>>().map_err(corrupt(table))
    }
}

impl Connection {
    pub(super) fn new(object: Object, session: Session) -> Self {
        Self { object: Some(object), session, busy: false }
    }

    fn client(&self) -> Result<&Object, Failure> {
        self.object.as_ref().ok_or_else(|| Failure::Lost("the connection was given back".to_owned()))
    }

    /// A statement to send: prepared, unless that was done before or cannot be kept.
    pub(super) async fn statement<'a>(
        &self,
        sql: &'static Sql,
        params: &'a [Value],
    ) -> Result<Request<'a>, Failure> {
        let none =
            || StoreError::Unavailable(format!("a statement of {} has no text for PostgreSQL", sql.table));
        let text = sql.for_postgres().ok_or_else(none)?;
        if self.session == Session::Pooled {
            return Ok(Request::Text(text, params));
        }
        let prepared = self.client()?.prepare_cached(text).await.map_err(|error| failed(&error))?;
        Ok(Request::Prepared(prepared, params))
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
            replies.extend(join_all(requests.iter().map(|request| one(client, self.session, request))).await);
        }
        Ok(replies)
    }

    /// Nothing is under way any more: others can use the connection.
    pub(super) fn done(&mut self) {
        self.busy = false;
    }

    /// Runs one statement by itself.
    pub(super) async fn run(&mut self, sql: &'static Sql, params: &[Value]) -> Result<Reply, Failure> {
        let statement = self.statement(sql, params).await?;
        let replies = self.send(&[statement]).await?;
        self.done();
        replies.into_iter().next().unwrap_or_else(|| Ok(Reply::default()))
    }

    /// The rows of a page.
    pub(super) async fn listed<T>(&mut self, page: &Page<T>) -> Result<Vec<T>, Failure> {
        let replies = self.send(&[Request::Text(&page.list(Dialect::Postgres), page.params())]).await?;
        self.done();
        let replies: Vec<Reply> = replies.into_iter().collect::<Result<_, _>>()?;
        replies.first().map_or(Ok(Vec::new()), |found| found.rows_as(page.table, page.read))
    }

    /// The rows of a page, and how many there are in all, of one moment.
    pub(super) async fn page<T>(&mut self, page: &Page<T>) -> Result<(Vec<T>, u64), Failure> {
        // Put together from a filter: too many different ones to keep.
        let (count, list) = (page.count(Dialect::Postgres), page.list(Dialect::Postgres));
        let requests = [
            Request::Begin(Begin::Read),
            Request::Text(&count, page.params()),
            Request::Text(&list, page.params()),
            Request::Control("COMMIT"),
        ];
        let replies = self.send(&requests).await?;
        let replies: Vec<Reply> = replies.into_iter().collect::<Result<_, _>>()?;
        self.done();
        let [_, total, found, _] = replies.as_slice() else { return Ok((Vec::new(), 0)) };
        let total = total.rows_as(page.table, |row| crate::sql::row::number(row, 0))?;
        Ok((found.rows_as(page.table, page.read)?, total.first().copied().unwrap_or(0)))
    }
}

async fn one(client: &Object, session: Session, request: &Request<'_>) -> Result<Reply, Failure> {
    let rows = match request {
        Request::Control(text) => return control(client, text).await,
        Request::Begin(begin) => return control(client, begin.text(session)).await,
        Request::Prepared(statement, params) => client.query_raw(statement, *params).await,
        Request::Text(text, params) => {
            client.query_typed_raw(text, params.iter().map(|param| (param, param.kind()))).await
        }
    };
    let mut rows = pin!(rows.map_err(|error| failed(&error))?);
    let mut reply = Reply::default();
    while let Some(row) = rows.try_next().await.map_err(|error| failed(&error))? {
        reply.rows.push(row);
    }
    reply.count = rows.rows_affected().unwrap_or(0);
    Ok(reply)
}

async fn control(client: &Object, text: &str) -> Result<Reply, Failure> {
    client.batch_execute(text).await.map(|()| Reply::default()).map_err(|error| failed(&error))
}
