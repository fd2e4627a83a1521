//! Where a server is: read once, and never shown with its password.

use std::fmt;

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::failure::told;
use crate::engine::StoreError;

/// The address of a PostgreSQL database, such as
/// `postgres://sojourn@localhost/sojourn`. Printed without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    config: Box<Config>,
    name: String,
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
    /// Reads `url`. Nothing is connected to yet.
    ///
    /// # Errors
    /// It cannot be understood, or asks for what would send secrets in plain
    /// text to another machine. The error does not repeat it.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let unusable = |path: &str, reason: String| StoreError::Unusable { path: path.to_owned(), reason };
        // What cannot be read may hold a password anywhere: it is not repeated.
        let config: Config = url.parse().map_err(|error| unusable("the PostgreSQL URL", told(&error)))?;
        let name = name(&config);
        refuse_plain_text(&config).map_err(|reason| unusable(&name, reason))?;
        Ok(Self { config: Box::new(config), name })
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

/// This version speaks no TLS to the database. It says so, instead of sending
/// secrets in plain text to another machine without being asked to.
fn refuse_plain_text(config: &Config) -> Result<(), String> {
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    };
    let addresses_local = config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    match config.get_ssl_mode() {
        SslMode::Disable => Ok(()),
        SslMode::Prefer if addresses_local && config.get_hosts().iter().all(local) => Ok(()),
        _ => Err("the connection would not be encrypted, which this version cannot do; add sslmode=disable to the URL if the network to the database is trusted, or connect through a tunnel on this machine".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Option<String> {
        ServerUrl::parse(url).err().map(|error| error.to_string())
    }

    #[test]
    fn nothing_is_sent_in_plain_text_to_another_machine_unless_asked_for() {
        for fine in [
            "postgres://sojourn@localhost/sojourn",
            "postgres://sojourn@127.0.0.1:5600/sojourn",
            "postgres://sojourn@%2Frun%2Fpostgresql/sojourn",
            "postgres://sojourn@db.example.com/sojourn?sslmode=disable",
        ] {
            assert_eq!(refusal(fine), None, "{fine}");
        }
        for plain in [
            "postgres://sojourn:hunter2@db.example.com/sojourn",
            "postgres://sojourn:hunter2@10.0.0.7/sojourn?sslmode=prefer",
            "postgres://sojourn:hunter2@localhost,db.example.com/sojourn",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=require",
            "postgres://sojourn:hunter2@localhost/sojourn?hostaddr=10.0.0.7",
        ] {
            let reason = refusal(plain).unwrap_or_default();
            assert!(reason.contains("encrypted") && !reason.contains("hunter2"), "{plain}: {reason}");
        }
        let reason = refusal("postgres://sojourn:hunter2@localhost:port/sojourn").unwrap_or_default();
        assert!(!reason.is_empty() && !reason.contains("hunter2"), "{reason}");
    }

    #[test]
    fn a_server_is_named_without_its_password_wherever_it_stands_in_the_url() {
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
