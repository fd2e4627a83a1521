//! The configuration: defaults, then `sojourn.toml`, then the environment, then flags.

mod check;
mod key;
mod layer;
mod mail;
mod network;
mod origin;
mod production;
#[cfg(test)]
mod tests;
mod tls;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde_json::Value;
use sojourn_core::environment::Environment;
use sojourn_core::settings::{SETTINGS, Setting};
use sojourn_store::ServerUrl;
use url::Url;

pub use self::check::is_loopback;
pub use self::key::is_of_the_process;
pub use self::layer::Flag;
pub use self::mail::MailConfig;
pub use self::network::acceptable_address;
pub use self::origin::{Origin, Sourced};
pub use self::production::{host as production_host, origin as production_origin};
pub use self::tls::{AcmeConfig, CertificateFiles, CertificateSource, TlsConfig};
pub use self::value::{example, from_text, from_typed};
use crate::data_folder::MasterKey;
use crate::failure::{Exit, Failure};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// In which headers proxies say whom they forward for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    XForwarded,
    /// RFC 7239.
    Forwarded,
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
    pub environment: Sourced<Environment>,
    pub port: Sourced<u16>,
    /// Where browsers are answered; empty: `port` on both loopback addresses.
    pub listen: Sourced<Vec<SocketAddr>>,
    /// Where application servers are answered; empty: where browsers are.
    pub bapi_listen: Sourced<Vec<SocketAddr>>,
    /// Where supervisors are answered; empty: nowhere.
    pub admin_listen: Sourced<Vec<SocketAddr>>,
    /// Who is believed what it says of a request that it forwards.
    pub trusted_proxies: Sourced<Vec<IpNet>>,
    pub forwarded_header: Sourced<ForwardedHeader>,
    /// Whether connections of `trusted_proxies` to `listen` begin with a header of the PROXY protocol.
    pub proxy_protocol: Sourced<bool>,
    pub data: Sourced<PathBuf>,
    /// The PostgreSQL server, if it is not the database of the data folder.
    pub server: Option<Sourced<ServerUrl>>,
    /// Set if the environment should name that server and does not. Commands that ask a running server
    /// need no database.
    pub missing_server: Option<Origin>,
    /// None: the one in the data folder.
    pub master_key: Option<Sourced<GivenKey>>,
    /// The master key before it, while the nodes change over.
    pub previous_master_key: Option<Sourced<PathBuf>>,
    pub public_url: Option<Sourced<Url>>,
    pub log_format: Sourced<LogFormat>,
    pub expose_development: Sourced<bool>,
    pub rate_limits_enabled: Sourced<bool>,
    pub connections_per_address: Sourced<u64>,
    pub connections_total: Sourced<u64>,
    pub allowed_origins: Sourced<Vec<String>>,
    pub allow_loopback_origins: Sourced<bool>,
    pub mail: MailConfig,
    /// Networks that webhooks may reach besides the public internet.
    pub webhook_networks: Sourced<Vec<IpNet>>,
    /// None: plain http only.
    pub tls: Option<TlsConfig>,
    pub pins: Vec<Pin>,
}

/// A setting that file, environment or flags give: it becomes part of the settings at start and
/// cannot be changed elsewhere. The others are left to the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    pub setting: &'static Setting,
    pub value: Value,
    pub origin: Origin,
}

/// Where the layers are read from: the process, or a table in a test.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub working_dir: PathBuf,
    pub config_flag: Option<PathBuf>,
    pub variables: Vec<(String, String)>,
    pub flags: Vec<Flag>,
    /// The file is about to be made: nothing is read where it is not there yet.
    pub file_is_new: bool,
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
        Ok(Self { working_dir, config_flag, variables, flags, file_is_new: false })
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
        .filter(|(path, asked)| (*asked && !self.file_is_new) || path.is_file())
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
        let (server, missing_server) = database(layers)?;
        let key_file = layers.text("master_key_file").map(&path);
        Ok(Self {
            server,
            missing_server,
            master_key: check::master_key(layers.text("master_key"), key_file)?,
            previous_master_key: layers.text("previous_master_key_file").map(path),
            port: layers
                .number("port")
                .map(|port| Sourced {
                    value: u16::try_from(port.value).unwrap_or(u16::MAX),
                    origin: port.origin,
                })
                .unwrap_or_else(|| Sourced::default_of(4000)),
            data,
            environment: layers
                .get("environment", |word| match word.as_str()? {
                    "production" => Some(Environment::Production),
                    _ => Some(Environment::Development),
                })
                .unwrap_or_else(|| Sourced::default_of(Environment::Development)),
            listen: network::addresses("listen", layers.texts("listen"))?,
            bapi_listen: network::addresses("bapi_listen", layers.texts("bapi_listen"))?,
            admin_listen: network::addresses("admin_listen", layers.texts("admin_listen"))?,
            trusted_proxies: network::proxies(layers.texts("trusted_proxies"))?,
            forwarded_header: layers
                .get("forwarded_header", |word| match word.as_str()? {
                    "forwarded" => Some(ForwardedHeader::Forwarded),
                    _ => Some(ForwardedHeader::XForwarded),
                })
                .unwrap_or_else(|| Sourced::default_of(ForwardedHeader::XForwarded)),
            proxy_protocol: layers.switch_or("proxy_protocol", false),
            public_url: layers.text("public_url").map(check::public_url).transpose()?,
            log_format: layers
                .get("log_format", |word| match word.as_str()? {
                    "json" => Some(LogFormat::Json),
                    _ => Some(LogFormat::Text),
                })
                .unwrap_or_else(|| Sourced::default_of(LogFormat::Text)),
            expose_development: layers.switch_or("expose_development", false),
            rate_limits_enabled: layers.switch_or("rate_limits.enabled", true),
            connections_per_address: layers.number_or("connections.per_address", 256),
            connections_total: layers.number_or("connections.total", 10_000),
            allowed_origins: layers
                .texts("allowed_origins.list")
                .unwrap_or_else(|| Sourced::default_of(Vec::new())),
            allow_loopback_origins: layers.switch_or("allowed_origins.loopback", true),
            mail: MailConfig::resolve(layers, path)?,
            tls: TlsConfig::resolve(layers, path)?,
            webhook_networks: layers
                .texts("webhooks.allowed_networks")
                .map(check::networks)
                .transpose()?
                .unwrap_or_else(|| Sourced::default_of(Vec::new())),
            pins: layers.pins(),
            file,
        })
    }

    /// Whether the configuration file holds a password or a key, and not only the name of a file.
    pub fn has_secrets_in_its_file(&self) -> bool {
        let key = self.master_key.as_ref().filter(|key| matches!(key.value, GivenKey::Itself(_)));
        let origins = [
            key.map(|key| &key.origin),
            self.server.as_ref().map(|server| &server.origin),
            self.mail.password_origin(),
        ];
        origins.into_iter().flatten().any(|origin| matches!(origin, Origin::File { .. }))
    }

    /// Fails if the address of the database should be in the environment and is not.
    pub fn require_database(&self) -> Result<(), Failure> {
        self.missing_server.as_ref().map_or(Ok(()), |origin| Err(check::database_missing(origin)))
    }

    pub fn is_production(&self) -> bool {
        *self.environment == Environment::Production
    }
}

/// The address of the database. `environment` in the file stands for an address in the environment, so
/// that nothing starts on an empty database of its own where that is missing. Returns the address, or
/// where the word is from.
fn database(layers: &Layers) -> Result<(Option<Sourced<ServerUrl>>, Option<Origin>), Failure> {
    let Some(text) = layers.text("database") else { return Ok((None, None)) };
    if text.value != check::IN_ENVIRONMENT {
        return Ok((check::database(text)?, None));
    }
    // Of a hosting platform's variable, which has the lowest priority.
    let addresses = layers.entries.iter().filter(|entry| entry.path == "database");
    let address = addresses.filter_map(|entry| Some((entry.value.as_str()?, &entry.origin)));
    match address.rev().find(|(value, _)| *value != check::IN_ENVIRONMENT) {
        Some((value, origin)) => {
            Ok((check::database(Sourced { value: value.to_owned(), origin: origin.clone() })?, None))
        }
        None => Ok((None, Some(text.origin))),
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

    fn pins(&self) -> Vec<Pin> {
        let strongest = |setting: &'static Setting| {
            let entry = self.entries.iter().rev().find(|entry| entry.path == setting.path)?;
            Some(Pin { setting, value: entry.value.clone(), origin: entry.origin.clone() })
        };
        SETTINGS.iter().filter_map(strongest).collect()
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
