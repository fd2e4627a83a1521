//! The configuration: defaults, then `sojourn.toml`, then the environment, then flags.

mod check;
mod key;
mod layer;
mod origin;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};

use serde_json::Value;
use sojourn_store::ServerUrl;
use url::Url;

pub use self::check::is_loopback;
pub use self::key::{Document, KEYS, Key, Kind, find, is_table, nearest};
pub use self::layer::Flag;
pub use self::origin::{Origin, Sourced};
pub use self::value::{from_text, from_typed, seconds};
use crate::data_folder::MasterKey;
use crate::failure::{Exit, Failure};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A master key from elsewhere than the data folder, as nodes of one database need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenKey {
    Itself(MasterKey),
    In(PathBuf),
}

/// What was decided, each value with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    pub port: Sourced<u16>,
    pub data: Sourced<PathBuf>,
    /// The PostgreSQL server, if it is not the database of the data folder.
    pub server: Option<Sourced<ServerUrl>>,
    /// None: the one in the data folder.
    pub master_key: Option<Sourced<GivenKey>>,
    pub public_url: Option<Sourced<Url>>,
    pub log_format: Sourced<LogFormat>,
    pub expose_development: Sourced<bool>,
    pub rate_limits_enabled: Sourced<bool>,
    pub connections_per_address: Sourced<u64>,
    pub connections_total: Sourced<u64>,
    pub allowed_origins: Sourced<Vec<String>>,
    pub allow_loopback_origins: Sourced<bool>,
    pub pins: Pins,
}

/// Settings that can change at run time, as far as file, environment or flags give them.
///
/// A pinned value becomes part of the settings at start and cannot be changed elsewhere;
/// `None` leaves the setting to the database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pins {
    pub application_name: Option<Sourced<String>>,
    pub verify_at_sign_up: Option<Sourced<bool>>,
    pub enumeration_protection: Option<Sourced<String>>,
    pub home_url: Option<Sourced<String>>,
    pub inactivity_timeout_enabled: Option<Sourced<bool>>,
    pub inactivity_timeout_duration_seconds: Option<Sourced<u64>>,
    pub maximum_lifetime_enabled: Option<Sourced<bool>>,
    pub maximum_lifetime_duration_seconds: Option<Sourced<u64>>,
    pub multi_session_enabled: Option<Sourced<bool>>,
    pub activity: Option<Sourced<String>>,
    pub ended_sessions_kept_seconds: Option<Sourced<u64>>,
    pub token_claims: Option<Sourced<Value>>,
    pub token_lifetime: Option<Sourced<u64>>,
    pub token_allowed_clock_skew: Option<Sourced<u64>>,
}

/// Where the layers are read from: the process, or a table in a test.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub working_dir: PathBuf,
    pub config_flag: Option<PathBuf>,
    pub variables: Vec<(String, String)>,
    pub flags: Vec<Flag>,
}

impl Sources {
    pub fn of_this_process(config_flag: Option<PathBuf>, flags: Vec<Flag>) -> Result<Self, Failure> {
        let working_dir = std::env::current_dir().map_err(|error| {
            Failure::new(Exit::Other, "working_directory_gone", "cannot tell the working directory")
                .because(error.to_string())
                .next("change into a folder that exists")
        })?;
        // A variable that is not Unicode cannot be one of ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        Ok(Self { working_dir, config_flag, variables, flags })
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(given, text)| given == name && !text.is_empty())
            .map(|(_, text)| text.as_str())
    }

    /// The file to read: asked for by flag or variable, else the one in the working directory.
    fn file(&self) -> Option<(PathBuf, bool)> {
        let asked = self.config_flag.clone().or_else(|| self.variable("SOJOURN_CONFIG").map(PathBuf::from));
        match asked {
            Some(path) => Some((self.working_dir.join(path), true)),
            None => Some((self.working_dir.join("sojourn.toml"), false)),
        }
        .filter(|(path, asked)| *asked || path.is_file())
    }
}

impl Config {
    pub fn load(sources: &Sources) -> Result<Self, Failure> {
        let mut entries = layer::from_platform(&sources.variables)?;
        let file = sources.file();
        if let Some((path, _)) = &file {
            let text = read(path)?;
            entries.extend(layer::from_file(&shown(path, &sources.working_dir), &text)?);
        }
        entries.extend(layer::from_env(&sources.variables)?);
        entries.extend(layer::from_flags(&sources.flags)?);

        let file = file.map(|(path, _)| path);
        let layers = Layers { entries };
        let config = Self::resolve(&layers, file, &sources.working_dir)?;
        check::everything(&config)?;
        Ok(config)
    }

    fn resolve(layers: &Layers, file: Option<PathBuf>, working_dir: &Path) -> Result<Self, Failure> {
        check::environment(layers.text("environment").as_ref())?;
        // A path in the file is meant relative to the file, so that the same database is
        // found from whatever directory the server is started.
        let path = |text: Sourced<String>| {
            let base = match (&text.origin, &file) {
                (Origin::File { .. }, Some(file)) => file.parent().unwrap_or(working_dir),
                _ => working_dir,
            };
            Sourced {
                value: base.join(text.value.strip_prefix("./").unwrap_or(&text.value)),
                origin: text.origin,
            }
        };
        let data = layers.text("data").unwrap_or_else(|| Sourced::default_of("./.sojourn".to_owned()));
        let data = path(data);
        let key_file = layers.text("master_key_file").map(path);
        Ok(Self {
            server: layers.text("database").map(check::database).transpose()?.flatten(),
            master_key: check::master_key(layers.text("master_key"), key_file)?,
            port: layers
                .number("port")
                .map(|port| Sourced {
                    value: u16::try_from(port.value).unwrap_or(u16::MAX),
                    origin: port.origin,
                })
                .unwrap_or_else(|| Sourced::default_of(4000)),
            data,
            public_url: layers.text("public_url").map(check::public_url).transpose()?,
            log_format: layers
                .text("log_format")
                .map(check::log_format)
                .transpose()?
                .unwrap_or_else(|| Sourced::default_of(LogFormat::Text)),
            expose_development: layers.switch_or("expose_development", false),
            rate_limits_enabled: layers.switch_or("rate_limits.enabled", true),
            connections_per_address: layers.number_or("connections.per_address", 256),
            connections_total: layers.number_or("connections.total", 10_000),
            allowed_origins: layers
                .texts("allowed_origins.list")
                .map(check::origins)
                .transpose()?
                .unwrap_or_else(|| Sourced::default_of(Vec::new())),
            allow_loopback_origins: layers.switch_or("allowed_origins.loopback", true),
            pins: Pins::resolve(layers)?,
            file,
        })
    }
}

impl Pins {
    fn resolve(layers: &Layers) -> Result<Self, Failure> {
        const INACTIVITY: &str = "session_settings.inactivity_timeout";
        const MAXIMUM: &str = "session_settings.maximum_lifetime";
        Ok(Self {
            application_name: layers.text("application_name").map(check::application_name).transpose()?,
            verify_at_sign_up: layers.switch("auth_email.verify_at_sign_up"),
            enumeration_protection: layers
                .text("auth_attack_protection.enumeration_protection")
                .map(check::enumeration_protection)
                .transpose()?,
            home_url: layers.text("paths.home_url").map(check::home_url).transpose()?,
            inactivity_timeout_enabled: layers.switch(&format!("{INACTIVITY}.enabled")),
            inactivity_timeout_duration_seconds: layers.number(&format!("{INACTIVITY}.duration_seconds")),
            maximum_lifetime_enabled: layers.switch(&format!("{MAXIMUM}.enabled")),
            maximum_lifetime_duration_seconds: layers.number(&format!("{MAXIMUM}.duration_seconds")),
            multi_session_enabled: layers.switch("session_settings.multi_session_enabled"),
            activity: layers.text("session_settings.activity").map(check::activity).transpose()?,
            ended_sessions_kept_seconds: layers.number("session_settings.ended_sessions_kept_seconds"),
            token_claims: layers.object("session.claims"),
            token_lifetime: layers.number("session.lifetime"),
            token_allowed_clock_skew: layers.number("session.allowed_clock_skew"),
        })
    }
}

/// All entries, weakest layer first; the last one given wins.
struct Layers {
    entries: Vec<layer::Entry>,
}

impl Layers {
    fn get<T>(&self, path: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Sourced<T>> {
        let entry = self.entries.iter().rev().find(|entry| entry.path == path)?;
        Some(Sourced { value: read(&entry.value)?, origin: entry.origin.clone() })
    }

    fn text(&self, path: &str) -> Option<Sourced<String>> {
        self.get(path, |value| value.as_str().map(str::to_owned))
    }

    fn switch(&self, path: &str) -> Option<Sourced<bool>> {
        self.get(path, Value::as_bool)
    }

    fn switch_or(&self, path: &str, default: bool) -> Sourced<bool> {
        self.switch(path).unwrap_or_else(|| Sourced::default_of(default))
    }

    fn number(&self, path: &str) -> Option<Sourced<u64>> {
        self.get(path, Value::as_u64)
    }

    fn number_or(&self, path: &str, default: u64) -> Sourced<u64> {
        self.number(path).unwrap_or_else(|| Sourced::default_of(default))
    }

    fn texts(&self, path: &str) -> Option<Sourced<Vec<String>>> {
        self.get(path, |value| {
            let texts = value.as_array()?.iter().filter_map(Value::as_str);
            Some(texts.map(str::to_owned).collect())
        })
    }

    fn object(&self, path: &str) -> Option<Sourced<Value>> {
        self.get(path, |value| Some(value.clone()))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Exit::Usage,
            "config_not_readable",
            format!("cannot read the configuration file {}", path.display()),
        )
        .because(error.to_string())
        .next("give --config or SOJOURN_CONFIG a file that exists, or leave both out")
    })
}

/// A file in the working directory is shown by its name alone.
fn shown(path: &Path, working_dir: &Path) -> PathBuf {
    path.strip_prefix(working_dir).unwrap_or(path).to_owned()
}

/// One pin as the server takes it: which setting, what value, pinned where.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    pub path: String,
    pub value: Value,
    pub origin: String,
}

impl Pins {
    /// The pins that are given, in the order of the settings documents.
    pub fn list(&self) -> Vec<Pin> {
        fn pin<T: Clone + Into<Value>>(path: &'static str, given: Option<&Sourced<T>>) -> Option<Pin> {
            given.map(|pin| Pin {
                path: path.to_owned(),
                value: pin.value.clone().into(),
                origin: pin.origin.to_string(),
            })
        }
        [
            pin("application_name", self.application_name.as_ref()),
            pin("auth_email.verify_at_sign_up", self.verify_at_sign_up.as_ref()),
            pin("auth_attack_protection.enumeration_protection", self.enumeration_protection.as_ref()),
            pin("paths.home_url", self.home_url.as_ref()),
            pin("session_settings.inactivity_timeout.enabled", self.inactivity_timeout_enabled.as_ref()),
            pin(
                "session_settings.inactivity_timeout.duration_seconds",
                self.inactivity_timeout_duration_seconds.as_ref(),
            ),
            pin("session_settings.maximum_lifetime.enabled", self.maximum_lifetime_enabled.as_ref()),
            pin(
                "session_settings.maximum_lifetime.duration_seconds",
                self.maximum_lifetime_duration_seconds.as_ref(),
            ),
            pin("session_settings.multi_session_enabled", self.multi_session_enabled.as_ref()),
            pin("session_settings.activity", self.activity.as_ref()),
            pin("session_settings.ended_sessions_kept_seconds", self.ended_sessions_kept_seconds.as_ref()),
            pin("session.claims", self.token_claims.as_ref()),
            pin("session.lifetime", self.token_lifetime.as_ref()),
            pin("session.allowed_clock_skew", self.token_allowed_clock_skew.as_ref()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
