//! All settings of a running server as one document, and the display of changes.

use reqwest::Method;
use serde_json::{Map, Value};
use sojourn_core::settings::{Difference, differences};

use crate::client::Client;
use crate::command::ServerArguments;
use crate::failure::{Exit, Failure};
use crate::output;

pub struct Remote {
    pub client: Client,
    path: String,
}

impl Remote {
    pub async fn find(arguments: &ServerArguments) -> Result<Self, Failure> {
        let client = Client::find(arguments)?;
        let instance = client.get("/v1/instance", &[]).await.map_err(cannot_read)?;
        let id = instance["id"].as_str().unwrap_or_default();
        let path = format!("/v1/platform/applications/{id}/instances/{id}/config");
        Ok(Self { client, path })
    }

    /// The version in force, and its settings.
    pub async fn config(&self) -> Result<(u64, Map<String, Value>), Failure> {
        let mut config = self.client.get(&self.path, &[]).await.map_err(cannot_read)?;
        let version = config["config_version"].take();
        let version = version.as_str().and_then(|version| version.parse().ok());
        match (version, config) {
            (Some(version), Value::Object(mut config)) => {
                config.remove("config_version");
                Ok((version, config))
            }
            _ => Err(Failure::new(Exit::Other, "unexpected_answer", "cannot read the settings")
                .because("the answer is not a configuration with its version")
                .next("check that the address is a sojourn server of this version")),
        }
    }

    pub async fn schema(&self) -> Result<Value, Failure> {
        self.client.get(&format!("{}/schema", self.path), &[]).await.map_err(cannot_read)
    }

    /// Replaces the configuration of `version` completely.
    pub async fn replace(
        &self,
        version: u64,
        config: &Map<String, Value>,
        dry_run: bool,
    ) -> Result<Value, Failure> {
        // The user has already seen the difference, including removed values.
        let query = [("destructive", "true".to_owned()), ("dry_run", dry_run.to_string())];
        let body = Value::Object(config.clone());
        self.client
            .change_version(Method::PUT, &self.path, &query, version, Some(&body))
            .await
            .map_err(|refused| refused.while_doing("cannot change the settings"))
    }
}

fn cannot_read(refused: crate::client::Refused) -> Failure {
    refused.while_doing("cannot read the settings")
}

/// The differences between two documents in a response.
pub fn between(before: &Value, after: &Value) -> Vec<Difference> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => differences(before, after),
        _ => Vec::new(),
    }
}

/// One line per difference.
pub fn lines(changes: &[Difference]) -> String {
    let lines: Vec<String> =
        changes.iter().map(|one| format!("{}: {} -> {}", one.path, one.before, one.after)).collect();
    lines.join("\n")
}

/// Prints the warnings, and the result of a dry run.
pub fn report(answer: &Value) {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let text = warning["message"].as_str().or(warning["code"].as_str()).unwrap_or("?");
        output::note(&format!("warning: {text}"));
    }
    if let Some(would_end) = answer["would_end"].as_object() {
        let count = |name: &str| would_end.get(name).and_then(Value::as_u64).unwrap_or_default();
        output::note(&format!(
            "would end {} sessions now, and {} more within an hour without activity",
            count("now"),
            count("within_one_hour")
        ));
    }
}
