//! The address of a PostgreSQL server with its options. Its password is never printed.

use std::{fmt, net::IpAddr, path::PathBuf};

use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::failure::told;
use crate::error::StoreError;

/// The address of a PostgreSQL database, such as `postgres://sojourn@localhost/sojourn`. Printed
/// without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    config: Box<Config>,
    name: String,
    tls: Option<Roots>,
    prepared_statements: Option<bool>,
}

/// The certificate authorities that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities of the operating system.
    System,
    /// The certificates in a PEM file.
    In(PathBuf),
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.name)
    }
}

impl ServerUrl {
    /// Parses `url`. It does not connect.
    ///
    /// A connection to another machine uses TLS with complete verification of the certificate,
    /// unless `sslmode=disable` declares the network trusted. A connection to this machine uses TLS
    /// if `sslmode` is `require` or `verify-full`, which have the same effect here. `sslrootcert`
    /// gives a file of trusted certificates, which replace those of the system.
    ///
    /// `prepared_statements` is `false` behind a pooler that runs each transaction on another
    /// connection (PgBouncer with `pool_mode = transaction`). Without the option it is detected.
    ///
    /// # Errors
    /// The URL is not valid. The error does not repeat the URL: an invalid URL may contain a
    /// password anywhere.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let unusable =
            |reason: String| StoreError::Unusable { path: "the PostgreSQL URL".to_owned(), reason };
        let (rest, asked) = without_our_options(url).map_err(unusable)?;
        let mut config: Config = rest.parse().map_err(|error| unusable(told(&error)))?;
        let tls = match asked.mode.as_deref() {
            Some("disable") => None,
            None | Some("prefer") if is_this_machine(&config) => None,
            None | Some("prefer" | "require" | "verify-full") => Some(asked.roots),
            Some("verify-ca") => {
                return Err(unusable(
                    "sslmode=verify-ca would take any host's certificate for this one's; use verify-full"
                        .to_owned(),
                ));
            }
            Some(_) => return Err(unusable("sslmode is disable, prefer, require or verify-full".to_owned())),
        };
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let prepared_statements = match asked.prepared_statements.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(unusable("prepared_statements is true or false".to_owned())),
        };
        Ok(Self { name: name(&config), config: Box::new(config), tls, prepared_statements })
    }

    /// The trusted certificate authorities, if TLS is used.
    pub(super) fn tls(&self) -> Option<&Roots> {
        self.tls.as_ref()
    }

    /// Whether a connection can keep prepared statements, if the URL says so.
    pub(super) const fn prepared_statements(&self) -> Option<bool> {
        self.prepared_statements
    }

    pub(super) fn config(&self) -> Config {
        Config::clone(&self.config)
    }
}

fn name(config: &Config) -> String {
    let host = |(index, host): (usize, &Host)| {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    };
    let hosts: Vec<String> = config.get_hosts().iter().enumerate().map(host).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
}

struct Asked {
    mode: Option<String>,
    roots: Roots,
    prepared_statements: Option<String>,
}

/// Splits off the options that the driver does not know or interprets differently.
fn without_our_options(url: &str) -> Result<(String, Asked), String> {
    // As in the driver: a password may contain a question mark.
    let host = url.find('@').unwrap_or(0);
    let mut asked = Asked { mode: None, roots: Roots::System, prepared_statements: None };
    let Some(query) = url[host..].find('?').map(|at| host + at) else {
        return Ok((url.to_owned(), asked));
    };
    let mut rest = Vec::new();
    for pair in url[query + 1..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || match percent_decode_str(value).decode_utf8() {
            Ok(value) => Ok(value.into_owned()),
            Err(_) => Err(format!("{name} is not text")),
        };
        match name {
            "sslmode" => asked.mode = Some(value()?),
            "prepared_statements" => asked.prepared_statements = Some(value()?),
            "sslrootcert" => {
                asked.roots = match value()?.as_str() {
                    "system" => Roots::System,
                    path => Roots::In(path.into()),
                };
            }
            _ => rest.push(pair),
        }
    }
    let mark = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{}{mark}{}", &url[..query], rest.join("&")), asked))
}

/// Whether the traffic stays on this machine.
fn is_this_machine(config: &Config) -> bool {
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    };
    config.get_hostaddrs().iter().all(IpAddr::is_loopback) && config.get_hosts().iter().all(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> ServerUrl {
        ServerUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_remote_database_needs_tls_unless_switched_off() {
        for plain in [
            "postgres://sojourn@localhost/sojourn",
            "postgres://sojourn@127.0.0.1:5600/sojourn?sslmode=prefer",
            "postgres://sojourn@%2Frun%2Fpostgresql/sojourn",
            "postgres://sojourn@db.example.com/sojourn?sslmode=disable",
            "postgres://sojourn@10.0.0.7/sojourn?application_name=x&sslmode=disable",
        ] {
            assert_eq!(parse(plain).tls(), None, "{plain}");
        }
        for encrypted in [
            "postgres://sojourn:hunter2@db.example.com/sojourn",
            "postgres://sojourn:hunter2@10.0.0.7/sojourn?sslmode=prefer",
            "postgres://sojourn:hunter2@localhost,db.example.com/sojourn",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=require",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=verify%2Dfull",
            "postgres://sojourn:hunter2@localhost/sojourn?hostaddr=10.0.0.7",
            // The last value of a repeated option counts.
            "postgres://sojourn@db.example.com/sojourn?sslmode=disable&sslmode=require",
        ] {
            let server = parse(encrypted);
            assert_eq!(server.tls(), Some(&Roots::System), "{encrypted}");
            assert_eq!(server.config().get_ssl_mode(), SslMode::Require, "{encrypted}");
        }
    }

    #[test]
    fn the_file_of_trusted_certificates_is_taken_out_of_the_address() {
        let server =
            parse("postgres://a:b?c@db.example.com/x?sslrootcert=%2Fetc%2Fmy+ca.pem&connect_timeout=3");
        assert_eq!(server.tls(), Some(&Roots::In("/etc/my+ca.pem".into())));
        assert_eq!(server.config().get_password(), Some("b?c".as_bytes()));
        assert_eq!(parse("postgres://db.example.com/x?sslrootcert=system").tls(), Some(&Roots::System));
    }

    #[test]
    fn prepared_statements_are_found_out_unless_the_address_says() {
        let said = |option| parse(&format!("postgres://localhost/x?{option}")).prepared_statements();
        assert_eq!(said("connect_timeout=3"), None);
        assert_eq!(said("prepared_statements=false"), Some(false));
        assert_eq!(said("connect_timeout=3&prepared_statements=true"), Some(true));
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_repeating_it() {
        for wrong in [
            "postgres://sojourn:hunter2@localhost:port/sojourn",
            "postgres://sojourn:hunter2@localhost/sojourn?schema=public",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=hunter2",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=verify-ca",
            "postgres://sojourn:hunter2@localhost/sojourn?sslrootcert=%FF",
            "postgres://sojourn:hunter2@localhost/sojourn?prepared_statements=hunter2",
        ] {
            let reason = ServerUrl::parse(wrong).expect_err(wrong).to_string();
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn a_server_is_named_without_its_password() {
        for url in [
            "postgres://sojourn:hunter2@localhost:5433/auth?connect_timeout=3",
            "postgres://localhost:5433/auth?user=sojourn&password=hunter2",
        ] {
            let server = ServerUrl::parse(url).expect("an address");
            assert_eq!(server.to_string(), "postgres://localhost:5433/auth");
            assert_eq!(format!("{server:?}"), "ServerUrl(postgres://localhost:5433/auth)");
        }
    }
}
