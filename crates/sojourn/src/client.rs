//! Talks to a running server over its Backend API.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::command::ServerArguments;
use crate::config::{Config, Flag, Sources};
use crate::failure::{Exit, Failure};
use crate::server_file::ServerFile;

/// Longer than the server allows a handler.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server and the right to use its Backend API.
#[derive(Debug)]
pub struct Client {
    base_url: Url,
    secret_key: String,
    /// The name that the server answers to, where it is not in the address.
    host: Option<String>,
    http: reqwest::Client,
}

impl Client {
    /// Finds the server: flags, then the environment, then the data folder.
    pub fn find(arguments: &ServerArguments) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let url =
            arguments.url.clone().or_else(|| variable("SOJOURN_URL")).or_else(|| variable("CLERK_API_URL"));
        let key = arguments.secret_key.clone().or_else(|| variable("CLERK_SECRET_KEY"));
        match (url, key) {
            (Some(url), Some(key)) => Self::new(&url, key),
            (Some(url), None) => Err(Failure::new(
                Exit::NotAuthorised,
                "secret_key_missing",
                format!("no secret key for {url}"),
            )
            .because("the key of the data folder is never sent to an address that is given otherwise")
            .next("give --secret-key, or set CLERK_SECRET_KEY")),
            (None, _) => {
                let folder = data_folder(arguments)?;
                let Some(file) = ServerFile::read(&folder)? else {
                    return Err(not_found(&folder));
                };
                // A key in the environment may belong to another server; the one that was
                // found knows its own. Only a flag says otherwise.
                let key = arguments.secret_key.clone().unwrap_or_else(|| file.secret_key.clone());
                Self::of_process(&file, key)
            }
        }
    }

    /// The server that wrote the file, with the key that it made for the command line.
    pub fn of_running(file: &ServerFile) -> Result<Self, Failure> {
        Self::of_process(file, file.secret_key.clone())
    }

    fn of_process(file: &ServerFile, key: String) -> Result<Self, Failure> {
        match &file.production {
            // Not through the proxy, to whoever the public name leads: this process, on this machine.
            Some(production) => Ok(Self {
                host: file.base_url.split_once("://").map(|(_, host)| host.to_owned()),
                ..Self::new(&production.local_url, key)?
            }),
            None => Self::new(&file.base_url, key),
        }
    }

    fn new(base_url: &str, secret_key: String) -> Result<Self, Failure> {
        let usage = |why: String| {
            Failure::new(Exit::Usage, "url_invalid", format!("\"{base_url}\" is not the address of a server"))
                .because(why)
                .next("give scheme, host and port, such as http://localhost:4000")
        };
        let base_url = Url::parse(base_url).map_err(|error| usage(error.to_string()))?;
        if !matches!(base_url.scheme(), "http" | "https") {
            return Err(usage("it is neither http nor https".to_owned()));
        }
        let http = reqwest::Client::builder();
        // No proxy stands between two programs of one machine, and none shall see the key.
        let http = if crate::config::is_loopback(&base_url) { http.no_proxy() } else { http };
        let http = http
            .timeout(TIMEOUT)
            .user_agent(concat!("sojourn/", env!("CARGO_PKG_VERSION")))
            .default_headers(labels())
            // A secret key follows no redirect.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Failure::new(Exit::Other, "http_unavailable", "cannot set up an HTTP client")
                    .because(chain(&error))
            })?;
        Ok(Self { base_url, secret_key, host: None, http })
    }

    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Refused> {
        self.send(Method::GET, path, query, None, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.send(Method::POST, path, &[], None, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.send(Method::PATCH, path, &[], None, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Refused> {
        self.send(Method::DELETE, path, &[], None, None).await
    }

    /// A POST that may be a dry run.
    pub async fn post_or_try(&self, path: &str, dry_run: bool, body: &Value) -> Result<Value, Refused> {
        self.send(Method::POST, path, &[("dry_run", dry_run.to_string())], None, Some(body)).await
    }

    /// A change that is meant for one version of what it changes, and for no other.
    pub async fn change_version(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        version: u64,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        self.send(method, path, query, Some(version), body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        version: Option<u64>,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let mut url = self.base_url.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).bearer_auth(&self.secret_key);
        if let Some(host) = &self.host {
            request = request.header(reqwest::header::HOST, host);
        }
        if let Some(version) = version {
            request = request.header(reqwest::header::IF_MATCH, version);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.unreachable(&error))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() && !body.is_null() {
            return Ok(body);
        }
        Err(Refused {
            exit: exit_of(status),
            status: status.as_u16(),
            path: path.to_owned(),
            body,
            connection: None,
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Refused {
        let base_url = self.base_url.as_str().trim_end_matches('/');
        Refused {
            exit: Exit::Unreachable,
            status: 0,
            path: String::new(),
            body: Value::Null,
            connection: Some(
                Failure::new(Exit::Unreachable, "server_unreachable", format!("no answer from {base_url}"))
                    .because(chain(error))
                    .next("sojourn serve, or give the right --url"),
            ),
        }
    }
}

/// Who types, as the environment says.
pub fn user_name() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name: String = name.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// Who types, for the history of the settings and the audit log. A label; the key is what counts.
fn labels() -> reqwest::header::HeaderMap {
    let value = reqwest::header::HeaderValue::from_str(&user_name());
    value
        .into_iter()
        .map(|value| (reqwest::header::HeaderName::from_static("sojourn-cli-user"), value))
        .collect()
}

/// An answer that is not the one that was asked for.
#[derive(Debug)]
pub struct Refused {
    exit: Exit,
    status: u16,
    path: String,
    body: Value,
    connection: Option<Failure>,
}

impl Refused {
    /// Whether the same request may succeed a little later: there was no answer, too many requests,
    /// or a server that stops or starts.
    pub fn is_temporary(&self) -> bool {
        self.connection.is_some() || matches!(self.status, 409 | 429 | 502..=504)
    }

    /// Puts the server's words into three parts; `what` says what was being tried.
    pub fn while_doing(self, what: &str) -> Failure {
        if let Some(failure) = self.connection {
            return failure;
        }
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let Some(first) = errors.first() else {
            return Failure::new(self.exit, "unexpected_answer", what)
                .because(format!("the server answered {} without saying why", self.status))
                .next("check that the address is a sojourn server of this version");
        };
        let code = first["code"].as_str().unwrap_or("unknown");
        let why: Vec<String> = errors.iter().map(reason).collect();
        let failure = Failure::new(self.exit, code, what).because(why.join("\n"));
        match next_for(code, self.exit, &self.path) {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}

/// `long message (code, parameter)`.
fn reason(error: &Value) -> String {
    let text = |name: &str| error[name].as_str().filter(|text| !text.is_empty());
    let message = text("long_message").or_else(|| text("message")).unwrap_or("no reason given");
    let code = text("code").unwrap_or("unknown");
    match error["meta"]["param_name"].as_str() {
        Some(parameter) => format!("{message} ({code}, {parameter})"),
        None => format!("{message} ({code})"),
    }
}

fn next_for(code: &str, exit: Exit, path: &str) -> Option<&'static str> {
    match (code, exit) {
        ("session_lifetime_required", _) => Some(
            "sojourn settings set session_settings.inactivity_timeout=30d \
             session_settings.maximum_lifetime=off",
        ),
        ("conflict", _) => {
            Some("sojourn settings diff shows what is in force; sojourn settings pull takes it over")
        }
        ("host_invalid", _) => Some(
            "on the server's machine: --data or --config, which find it behind its proxy\n\
             elsewhere: --url with the host of its public address",
        ),
        ("setting_pinned", _) => Some("change it where it is pinned, and start the server again"),
        (_, Exit::NotAuthorised) => {
            Some("give the server's own --secret-key (sojourn env --for json shows it)")
        }
        (_, Exit::NotFound) => Some(where_ids_are_listed(path)),
        (_, Exit::Rejected) => Some("correct the value and run the command again"),
        _ => None,
    }
}

/// The command that shows what could have been meant by an id under `path`.
fn where_ids_are_listed(path: &str) -> &'static str {
    let path = path.trim_start_matches("/v1/");
    match path.split('/').next() {
        Some("sessions") => "check the id: sojourn sessions list",
        Some("users" | "actor_tokens") => {
            "check the id (sojourn sessions list shows those of users), or give the e-mail address"
        }
        Some("webhooks") => "check the id: sojourn webhooks list, sojourn webhooks deliveries",
        Some("instance") if path.starts_with("instance/secret_keys") => "check the id: sojourn keys list",
        Some("instance") if path.contains("/history") => "check the version: sojourn settings history",
        _ => "check that the server is of this version, and in development: sojourn version",
    }
}

fn exit_of(status: StatusCode) -> Exit {
    match status.as_u16() {
        401 | 403 => Exit::NotAuthorised,
        404 | 410 => Exit::NotFound,
        400 | 409 | 413 | 415 | 422 => Exit::Rejected,
        _ => Exit::Other,
    }
}

/// The data folder that `serve` would use here.
pub fn data_folder(arguments: &ServerArguments) -> Result<PathBuf, Failure> {
    let flags = arguments.data.iter().map(|data| Flag { name: "--data", path: "data", text: data.clone() });
    let sources = Sources::of_this_process(arguments.config.clone(), flags.collect())?;
    Ok(Config::load(&sources)?.data.value)
}

pub fn not_found(folder: &std::path::Path) -> Failure {
    Failure::new(Exit::Unreachable, "server_not_found", "no running server was found")
        .because(format!("{} has no server.json, which a running server writes", folder.display()))
        .next(
            "sojourn serve here, or --data with the folder of a running server\n\
             or --url and --secret-key\n\
             or SOJOURN_URL (or CLERK_API_URL) and CLERK_SECRET_KEY",
        )
}

/// An error with its causes; the outermost alone rarely says anything.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
