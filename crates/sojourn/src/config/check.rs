//! What a value must be beyond its kind. Each refusal names the place that gave it.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use sojourn_store::{ServerUrl, StoreError};
use url::{Host, Url};

use super::{Config, GivenKey, Origin, Sourced, network, production};
use crate::data_folder::MasterKey;
use crate::failure::{Exit, Failure};

pub fn refused(what: String) -> Failure {
    Failure::new(Exit::Usage, "config_value_invalid", what)
}

/// The embedded database in the data folder, by its name.
const EMBEDDED: &str = "sqlite";

/// None: the embedded one. What is given may hold a password, and is not repeated.
/// The word for an address that the environment gives.
pub const IN_ENVIRONMENT: &str = "environment";

/// The file says that the environment names the database, and it does not.
pub fn database_missing(origin: &Origin) -> Failure {
    Failure::new(
        Exit::Usage,
        "database_missing",
        format!("database is \"{IN_ENVIRONMENT}\" by {}, and the environment names none", origin.in_words()),
    )
    .because("the instance is in PostgreSQL; another database would be another, empty instance")
    .next("set SOJOURN_DATABASE to its address: postgres://user:password@host/name")
}

pub fn database(text: Sourced<String>) -> Result<Option<Sourced<ServerUrl>>, Failure> {
    if text.value == EMBEDDED {
        return Ok(None);
    }
    let refuse = |why: String| {
        refused(format!("database from {} cannot be used", text.origin.in_words())).because(why).next(
            "give postgres://user:password@host/name, or sqlite for the embedded one in the data folder",
        )
    };
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.value.starts_with(scheme)) {
        return Err(refuse("it is neither a postgres:// address nor the word sqlite".to_owned()));
    }
    match ServerUrl::parse(&text.value) {
        Ok(value) => Ok(Some(Sourced { value, origin: text.origin })),
        Err(StoreError::Unusable { reason, .. }) => Err(refuse(reason)),
        Err(other) => Err(refuse(other.to_string())),
    }
}

pub fn master_key(
    text: Option<Sourced<String>>,
    file: Option<Sourced<PathBuf>>,
) -> Result<Option<Sourced<GivenKey>>, Failure> {
    match (text, file) {
        (Some(text), Some(file)) => Err(refused(format!(
            "master_key from {} and master_key_file from {} are both given",
            text.origin.in_words(),
            file.origin.in_words()
        ))
        .because("there is one master key")
        .next("leave one of them out")),
        (Some(text), None) => match MasterKey::parse(&text.value) {
            Some(key) => Ok(Some(Sourced { value: GivenKey::Itself(key), origin: text.origin })),
            None => Err(refused(format!("master_key from {} cannot be used", text.origin.in_words()))
                .because("it must be 32 bytes as base64 text")
                .next("give the text of a master.key, or make a new one: openssl rand -base64 32")),
        },
        (None, Some(file)) => Ok(Some(Sourced { value: GivenKey::In(file.value), origin: file.origin })),
        (None, None) => Ok(None),
    }
}

/// Networks in CIDR notation; a single address is a network of its own.
pub fn networks(texts: Sourced<Vec<String>>) -> Result<Sourced<Vec<IpNet>>, Failure> {
    let mut value = Vec::new();
    for text in &texts.value {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| {
            refused(format!(
                "\"{text}\" in webhooks.allowed_networks from {} is no network",
                texts.origin.in_words()
            ))
            .because("a network is an address, a slash and the length of its prefix")
            .next("give networks such as 10.0.0.0/8, 192.168.7.20 or fd00::/8")
        })?;
        value.push(network);
    }
    Ok(Sourced { value, origin: texts.origin })
}

pub fn public_url(text: Sourced<String>) -> Result<Sourced<Url>, Failure> {
    let refuse = |why: &str| {
        Err(refused(format!("public_url \"{}\" from {} cannot be used", text.value, text.origin.in_words()))
            .because(why)
            .next("give scheme and host only, such as https://clerk.example.com"))
    };
    let url = match Url::parse(&text.value) {
        Ok(url) => url,
        Err(error) => return refuse(&error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return refuse("it is not an http or https address");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refuse("it has a path, a query or a fragment; the server answers at the root");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it contains a user name or a password");
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return refuse("cookies and tokens would cross the network unencrypted");
    }
    Ok(Sourced { value: url, origin: text.origin })
}

/// What can only be judged once all values are known.
pub fn everything(config: &Config) -> Result<(), Failure> {
    neither_limit(config)?;
    proxies_that_write_headers(config)?;
    if config.is_production() {
        production::check(config)?;
    } else {
        exposure(config)?;
        tls_exposure(config)?;
    }
    network::acceptable_transport(config)
}

fn neither_limit(config: &Config) -> Result<(), Failure> {
    let off = |path: &str| config.pins.iter().find(|pin| pin.setting.path == path && pin.value == false);
    let (Some(inactivity), Some(maximum)) = (
        off("session_settings.inactivity_timeout.enabled"),
        off("session_settings.maximum_lifetime.enabled"),
    ) else {
        return Ok(());
    };
    Err(Failure::new(
        Exit::Usage,
        "session_lifetime_required",
        "inactivity timeout and maximum lifetime are both off",
    )
    .because(format!(
        "at least one must be on at all times; they are off by {} and {}",
        inactivity.origin.in_words(),
        maximum.origin.in_words()
    ))
    .next("turn one of them on, or leave one of the two out"))
}

/// Without a list of proxies anybody could write the header, and name any address.
fn proxies_that_write_headers(config: &Config) -> Result<(), Failure> {
    let over_tls = config.tls.as_ref().map(|tls| ("tls.proxy_protocol", &tls.proxy_protocol));
    let switches = [Some(("proxy_protocol", &config.proxy_protocol)), over_tls];
    let on = switches.into_iter().flatten().find(|(_, switch)| switch.value);
    let Some((key, switch)) = on.filter(|_| config.trusted_proxies.is_empty()) else { return Ok(()) };
    Err(refused(format!("{key} is true by {}, and trusted_proxies names nobody", switch.origin.in_words()))
        .because("the header of the PROXY protocol is believed from declared proxies alone")
        .next("trusted_proxies = [\"10.0.0.0/8\"], the addresses that your proxy connects from"))
}

fn exposure(config: &Config) -> Result<(), Failure> {
    let exposed = *config.expose_development;
    if let Some(url) = &config.public_url
        && !exposed
        && !is_loopback(url)
    {
        return Err(Failure::new(
            Exit::Usage,
            "development_exposed",
            format!("public_url {} from {} leaves this machine", url.value, url.origin.in_words()),
        )
        .because("a development instance has test codes that sign anyone in, and a mailbox")
        .next("add --expose-development, which switches those off, or use a localhost address"));
    }
    if exposed && !*config.rate_limits_enabled {
        return Err(Failure::new(
            Exit::Usage,
            "rate_limits_required",
            format!("rate_limits.enabled is false by {}", config.rate_limits_enabled.origin.in_words()),
        )
        .because("an instance that others can reach must not let them guess passwords freely")
        .next("leave rate_limits.enabled out, or stop exposing the instance"));
    }
    Ok(())
}

/// A development instance on TLS addresses that others can reach.
fn tls_exposure(config: &Config) -> Result<(), Failure> {
    let Some(listen) = config.tls.as_ref().and_then(|tls| tls.listen.as_ref()) else { return Ok(()) };
    let beyond = listen.iter().find(|address| !address.ip().is_loopback());
    let Some(address) = beyond.filter(|_| !*config.expose_development) else { return Ok(()) };
    Err(Failure::new(
        Exit::Usage,
        "development_exposed",
        format!("tls.listen {address} from {} leaves this machine", listen.origin.in_words()),
    )
    .because("a development instance has test codes that sign anyone in, and a mailbox")
    .next("add --expose-development, which switches those off, or listen on 127.0.0.1"))
}

/// Whether an address is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
