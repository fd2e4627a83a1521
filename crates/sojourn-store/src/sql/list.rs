//! Lists: statements built from a filter.

use super::{
    row::{Row, Unreadable},
    statement::Dialect,
    value::Value,
};

/// A SQL text per engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Texts {
    pub(crate) const fn both(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }

    pub(crate) const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// The conditions of a list and their parameters.
#[derive(Debug)]
pub(crate) struct Conditions {
    text: String,
    params: Vec<Value>,
}

impl Conditions {
    /// Rows of one instance, with the name of the column for its id.
    pub(crate) fn of_instance(column: &'static str, instance: impl Into<Value>) -> Self {
        Self { text: format!("{column} = $1"), params: vec![instance.into()] }
    }

    /// Adds ` AND ` and a condition with one `$` for the parameter.
    pub(crate) fn and(&mut self, text: &'static str, param: impl Into<Value>) {
        self.and_all(text, [param.into()]);
    }

    /// Adds ` AND ` and a condition with a `$` for each parameter, in order.
    pub(crate) fn and_all(&mut self, text: &'static str, params: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        let mut params = params.into_iter();
        for (index, part) in text.split('$').enumerate() {
            if index > 0 {
                self.params.extend(params.next());
                self.text.push_str(&format!("${}", self.params.len()));
            }
            self.text.push_str(part);
        }
    }

    /// Adds a condition without a parameter.
    pub(crate) fn and_plain(&mut self, text: &'static str) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
    }

    /// Adds a condition with one `$` for a list of parameters, unless the list is empty.
    pub(crate) fn and_one_of(
        &mut self,
        text: &'static str,
        params: impl IntoIterator<Item = impl Into<Value>>,
    ) {
        let before = self.params.len();
        self.params.extend(params.into_iter().map(Into::into));
        let numbers: Vec<String> =
            (before + 1..=self.params.len()).map(|number| format!("${number}")).collect();
        if !numbers.is_empty() {
            self.text.push_str(" AND ");
            self.text.push_str(&text.replace('$', &numbers.join(", ")));
        }
    }
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) table: &'static str,
    pub(crate) select: &'static str,
    pub(crate) from: &'static str,
    pub(crate) conditions: Conditions,
    pub(crate) order: String,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
    pub(crate) read: fn(&dyn Row) -> Result<T, Unreadable>,
}

impl<T> Page<T> {
    /// The total number of rows.
    pub(crate) fn count(&self, dialect: Dialect) -> String {
        dialect.text(&format!("SELECT COUNT(*) FROM {} WHERE {}", self.from, self.conditions.text))
    }

    /// The rows of the page.
    pub(crate) fn list(&self, dialect: Dialect) -> String {
        let Self { select, from, conditions, order, limit, offset, .. } = self;
        let condition = &conditions.text;
        dialect.text(&format!(
            "SELECT {select} FROM {from} WHERE {condition} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        ))
    }

    /// The parameters of both statements.
    pub(crate) fn params(&self) -> &[Value] {
        &self.conditions.params
    }
}
