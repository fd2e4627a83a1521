//! Runs statements on a connection: prepared once if the connection can keep them, and pipelined.

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

/// The maximum number of pipelined statements. Their futures are polled in order, which determines
/// the order on the wire.
const UNDER_WAY: usize = 24;

impl Value {
    /// The type of the parameter in a statement that is not prepared.
    const fn kind(&self) -> Type {
        match self {
            // The server infers the type from the context.
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
            // A PostgreSQL text cannot contain NUL. Where the exact value matters, the JSON
            // document in the same row has it, escaped.
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

/// A connection in use. It is not reused if it is dropped within a transaction.
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
            // Closing the connection makes the server roll back its transaction.
            drop(Object::take(object));
        }
    }
}

/// A request to the server.
pub(super) enum Request<'a> {
    /// COMMIT, ROLLBACK and the like.
    Control(&'static str),
    Begin(Begin),
    /// A prepared statement with its parameters.
    Prepared(Statement, &'a [Value]),
    /// A statement that is parsed and executed at once, with its parameters.
    Text(&'a str, &'a [Value]),
}

/// How a transaction begins. Behind a pooler it also sets the session limits, because a pooled
/// session does not keep them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// READ COMMITTED: after waiting for a lock, a statement sees the row as committed.
    Write,
    /// REPEATABLE READ: all statements see the same snapshot.
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

/// The rows, and the number of rows that were found or changed.
#[derive(Debug, Default)]
pub(super) struct Reply {
    rows: Vec<PgRow>,
    count: u64,
}

impl Reply {
    /// The number of rows that were found or changed.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

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

    /// A request for a statement. It is prepared first, unless it already is or the connection
    /// cannot keep it.
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

    /// Pipelines all requests and returns the replies in order. The connection is busy until
    /// [`Self::done`].
    pub(super) async fn send(
        &mut self,
        requests: &[Request<'_>],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        // Before the first await: if the caller is cancelled there, the connection is not reused.
        self.busy = true;
        let client = self.client()?;
        let mut replies = Vec::with_capacity(requests.len());
        for requests in requests.chunks(UNDER_WAY) {
            replies.extend(join_all(requests.iter().map(|request| one(client, self.session, request))).await);
        }
        Ok(replies)
    }

    /// Marks the connection as reusable: no transaction is open.
    pub(super) fn done(&mut self) {
        self.busy = false;
    }

    /// Runs a single statement.
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

    /// The rows of a page and the total number of rows, from one snapshot.
    pub(super) async fn page<T>(&mut self, page: &Page<T>) -> Result<(Vec<T>, u64), Failure> {
        // Not prepared: filters produce too many different texts to cache.
        let (count, list) = (page.count(Dialect::Postgres), page.list(Dialect::Postgres));
        let requests = [
            Request::Begin(Begin::Read),
            Request::Text(&count, page.params()),
            Request::Text(&list, page.params()),
            Request::Control("COMMIT"),
        ];
        let replies = self.send(&requests).await?;
        // `done` only after success: after an error the transaction is still open.
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
