//! `sojourn migrate`: how old the database's schema is, and bringing it up to this version.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use sojourn_store::{Database, Migrated, Schema};

use super::flags;
use crate::config::{Config, Sources};
use crate::data_folder::DataFolder;
use crate::database;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Tell how old the schema is; changes nothing
    Status(MigrateArguments),
    /// Bring the schema up to this version; an embedded database is copied first
    Up(MigrateArguments),
}

#[derive(Debug, Args)]
pub struct MigrateArguments {
    /// postgres://…; other users of this machine can see it [else: SOJOURN_DATABASE, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Folder of the embedded database [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file [else: SOJOURN_CONFIG, ./sojourn.toml if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl MigrateArguments {
    fn load(&self) -> Result<Config, Failure> {
        let given = flags([("--database", "database", &self.database), ("--data", "data", &self.data)]);
        Config::load(&Sources::of_this_process(self.config.clone(), given)?)
    }
}

impl MigrateCommand {
    pub fn json(&self) -> bool {
        let (Self::Status(arguments) | Self::Up(arguments)) = self;
        arguments.json
    }
}

pub async fn run(command: &MigrateCommand) -> Result<(), Failure> {
    match command {
        MigrateCommand::Status(arguments) => status(arguments).await,
        MigrateCommand::Up(arguments) => up(arguments).await,
    }
}

async fn status(arguments: &MigrateArguments) -> Result<(), Failure> {
    let config = arguments.load()?;
    let database = database::named(&config, &config.data)?;
    let schema = database.schema().await.map_err(|error| database::failed(&database, &error))?;
    let copies: Vec<String> = schema.copies.iter().map(|copy| database::shown(copy)).collect();
    let (state, meaning) = state(&schema);
    if arguments.json {
        let Schema { found, known, .. } = schema;
        return output::line(
            &json!({
                "database": database::name(&database),
                "schema": found,
                "known": known,
                "state": state,
                "copies": copies,
            })
            .to_string(),
        );
    }
    let mut lines = vec![
        format!("database       {}", database::name(&database)),
        format!("its schema     {}", schema.found),
        format!("this version   {}", schema.known),
        format!("state          {state}: {meaning}"),
    ];
    lines.extend(copies.iter().map(|copy| format!("copy           {copy}")));
    output::line(&lines.join("\n"))
}

/// One word for programs, and what it means.
fn state(schema: &Schema) -> (&'static str, &'static str) {
    match schema.found {
        0 => ("none", "there is nothing yet; the first start makes it"),
        found if found < schema.known => ("older", "`sojourn migrate up` or the next start brings it up"),
        found if found > schema.known => ("newer", "this version refuses it; start the newer one"),
        _ => ("current", "nothing to do"),
    }
}

async fn up(arguments: &MigrateArguments) -> Result<(), Failure> {
    let config = arguments.load()?;
    let database = database::named(&config, &config.data)?;
    let _alone = match &database {
        // A server that runs would not know what happens to its database.
        Database::File(path) if path.exists() => Some(DataFolder::open(&config.data)?),
        _ => None,
    };
    let migrated = database.migrate().await.map_err(|error| database::failed(&database, &error))?;
    let Migrated { from, to, copy } = migrated;
    let copy = copy.map(|copy| database::shown(&copy));
    if arguments.json {
        let name = database::name(&database);
        return output::line(&json!({ "database": name, "from": from, "to": to, "copy": copy }).to_string());
    }
    output::line(&match (from, to) {
        (0, 0) => "there is no database yet; the first start makes it".to_owned(),
        (from, to) if from == to => format!("schema {to} is that of this version"),
        (from, to) => format!("schema {from} is now {to}"),
    })?;
    if let Some(copy) = copy {
        output::note(&format!("the database as it was: {copy}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_schema_is_one_word() {
        let words = [(0, "none"), (1, "older"), (2, "current"), (3, "newer")];
        for (found, word) in words {
            assert_eq!(state(&Schema { found, known: 2, copies: Vec::new() }).0, word);
        }
    }
}
