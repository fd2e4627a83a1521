//! One layer of the configuration: the file, the environment, or the flags.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sojourn_core::nearest::nearest;
use sojourn_core::settings::Kind;
use sojourn_core::settings::registry::is_below;
use toml::de::{DeTable, DeValue};

use super::key;
use super::origin::Origin;
use super::value;
use crate::failure::{Exit, Failure};

/// A value of a layer, with the type of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub path: &'static str,
    pub value: Value,
    pub origin: Origin,
}

/// A value from the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    pub name: &'static str,
    pub path: &'static str,
    pub text: String,
}

const ENV_PREFIX: &str = "SOJOURN_";

/// Variables with the prefix that are not keys: the path of the file, a variable of client
/// commands, and the binary for our example and browser tests (which pass their environment on).
const ENV_OTHERS: &[&str] = &["SOJOURN_CONFIG", "SOJOURN_URL", "SOJOURN_BIN"];

pub fn from_flags(flags: &[Flag]) -> Result<Vec<Entry>, Failure> {
    flags.iter().map(|flag| entry(flag.path, &flag.text, Origin::Flag(flag.name))).collect()
}

/// `DATABASE_URL`, which hosting platforms set, and often other programs too: it has the lowest
/// priority, and is ignored if it names another kind of database.
pub fn from_platform(variables: &[(String, String)]) -> Result<Vec<Entry>, Failure> {
    const NAME: &str = "DATABASE_URL";
    let ours = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
    let given = variables.iter().filter(|(name, text)| name == NAME && ours(text));
    given.map(|(_, text)| entry("database", text, Origin::Env(NAME.to_owned()))).collect()
}

/// The `SOJOURN_…` variables, and `PORT`, which hosting platforms set.
pub fn from_env(variables: &[(String, String)]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    // An empty variable counts as unset: compose files and CI systems pass empty variables.
    let given = || variables.iter().filter(|(_, text)| !text.is_empty());
    if let Some((name, text)) = given().find(|(name, _)| name == "PORT") {
        entries.push(entry("port", text, Origin::Env(name.clone()))?);
    }
    for (name, text) in given() {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        if ENV_OTHERS.contains(&name.as_str()) {
            continue;
        }
        let path = rest.to_ascii_lowercase().replace("__", ".");
        let Some(found) = key::find(&path) else {
            return Err(unknown_variable(name, &path));
        };
        entries.push(entry(found.path, text, Origin::Env(name.clone()))?);
    }
    Ok(entries)
}

/// The values of a `sojourn.toml`, each with its line.
pub fn from_file(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    let line_of = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        before.matches('\n').count() + 1
    };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        Failure::new(Exit::Usage, "config_not_toml", format!("cannot read {}, line {line}", path.display()))
            .because(error.message().trim().to_owned())
            .next("correct the line; the format is TOML 1.1")
    })?;
    let mut reader = FileReader { path: path.to_owned(), line_of: &line_of, entries: Vec::new() };
    reader.table("", table.get_ref())?;
    Ok(reader.entries)
}

struct FileReader<'a> {
    path: PathBuf,
    line_of: &'a dyn Fn(usize) -> usize,
    entries: Vec<Entry>,
}

impl FileReader<'_> {
    fn table(&mut self, parent: &str, table: &DeTable<'_>) -> Result<(), Failure> {
        for (name, child) in table {
            let path = if parent.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{parent}.{}", name.get_ref())
            };
            let origin = Origin::File { path: self.path.clone(), line: (self.line_of)(name.span().start) };
            match (key::find(&path), child.get_ref()) {
                (Some(found), raw) => {
                    let value = plain(raw)
                        .and_then(|value| value::from_typed(found.kind, value))
                        .and_then(|value| value::checked(found.kind, &value))
                        .map_err(|why| bad_value(found.path, found.kind, &why, &origin))?;
                    self.entries.push(Entry { path: found.path, value, origin });
                }
                (None, DeValue::Table(inner)) if key::is_table(&path) => self.table(&path, inner)?,
                (None, _) if key::is_table(&path) => return Err(not_a_table(&path, &origin)),
                (None, _) => return Err(unknown_key(&path, &origin)),
            }
        }
        Ok(())
    }
}

/// A TOML value without its position in the file.
fn plain(raw: &DeValue<'_>) -> Result<Value, String> {
    Ok(match raw {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| format!("{} is too large a number", number.as_str()))?,
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| format!("{} is not a number", number.as_str()))?,
        DeValue::Boolean(switch) => Value::from(*switch),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => {
            let items: Result<Vec<Value>, String> = items.iter().map(|item| plain(item.get_ref())).collect();
            Value::from(items?)
        }
        DeValue::Table(table) => {
            let mut object = serde_json::Map::new();
            for (name, child) in table {
                object.insert(name.get_ref().to_string(), plain(child.get_ref())?);
            }
            Value::Object(object)
        }
    })
}

fn entry(path: &'static str, text: &str, origin: Origin) -> Result<Entry, Failure> {
    // All paths come from the table of keys; a path that is missing there is treated as a text.
    let kind = key::find(path).map_or(Kind::Text, |found| found.kind);
    match value::from_text(kind, text).and_then(|value| value::checked(kind, &value)) {
        Ok(value) => Ok(Entry { path, value, origin }),
        Err(why) => Err(bad_value(path, kind, &why, &origin)),
    }
}

fn bad_value(path: &str, kind: Kind, why: &str, origin: &Origin) -> Failure {
    Failure::new(
        Exit::Usage,
        "config_value_invalid",
        format!("{path} cannot be used as it is given in {}", origin.in_words()),
    )
    .because(why)
    .next(format!("give {}", value::example(kind)))
}

fn not_a_table(path: &str, origin: &Origin) -> Failure {
    let leaves: Vec<&str> = key::paths().filter(|key| is_below(key, path)).collect();
    Failure::new(
        Exit::Usage,
        "config_value_invalid",
        format!("{path} in {} is not a table", origin.in_words()),
    )
    .because("it groups several keys and has no value of its own")
    .next(format!("set {}", leaves.join(" or ")))
}

fn unknown_key(path: &str, origin: &Origin) -> Failure {
    let failure = Failure::new(
        Exit::Usage,
        "config_key_unknown",
        format!("unknown key {path} in {}", origin.in_words()),
    )
    .because("a key that has no effect is refused, so that a slip of the pen is not overlooked");
    match nearest(path, key::paths()) {
        Some(meant) => failure.next(format!("did you mean {meant}?")),
        None => failure.next("remove it; `sojourn settings get` and the README list the keys"),
    }
}

fn unknown_variable(name: &str, path: &str) -> Failure {
    let failure =
        Failure::new(Exit::Usage, "config_key_unknown", format!("unknown environment variable {name}"))
            .because(format!(
                "variables that start with {ENV_PREFIX} are configuration, and there is no key {path}"
            ));
    match nearest(path, key::paths()) {
        Some(meant) => {
            let variable = meant.replace('.', "__").to_ascii_uppercase();
            failure.next(format!("did you mean {ENV_PREFIX}{variable}?"))
        }
        None => failure.next(format!("unset {name}")),
    }
}
