//! The addresses of a serving process, and what is answered on each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use sojourn_server::{App, Surface};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Config, TlsConfig};
use crate::failure::Failure;
use crate::net::{self, Listener, ListenerConfig, PortConflict, ProxyNetworks, Transport};
use crate::tls;

/// Bound, not yet answering.
#[derive(Debug)]
pub struct Listening {
    public: Vec<Listener>,
    backend: Vec<Listener>,
    admin: Vec<Listener>,
    local: Vec<Listener>,
    /// The first that browsers are answered on.
    pub port: u16,
    /// The wanted port, if another program listens on it.
    pub busy_port: Option<u16>,
    pub addresses: Addresses,
}

/// Where a process listens.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub public: Vec<SocketAddr>,
    /// Of the same routes, over TLS.
    pub tls: Vec<SocketAddr>,
    /// Empty: the Backend API is on the public ones.
    pub backend: Vec<SocketAddr>,
    pub admin: Vec<SocketAddr>,
    /// For the command line on this machine, which writes no header of the PROXY protocol. Empty: it
    /// uses the other addresses.
    pub local: Vec<SocketAddr>,
}

impl Addresses {
    /// Where programs on this machine reach the Backend API.
    pub fn local_api(&self) -> SocketAddr {
        let on_this_machine = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
            IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
            _ => address,
        };
        let serving = [&self.local, &self.backend, &self.public].into_iter().find(|them| !them.is_empty());
        let serving = serving.unwrap_or(&self.public);
        let local: Vec<SocketAddr> = serving.iter().copied().map(on_this_machine).collect();
        let loopback = local.iter().find(|address| address.ip().is_loopback());
        *loopback.or(local.first()).unwrap_or(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

impl Listening {
    /// Binds all addresses, or none. Sockets that a service manager passes stand for those of the
    /// configuration.
    pub async fn bind(
        config: &Config,
        conflict: PortConflict,
        passed: Vec<std::net::TcpListener>,
    ) -> Result<Self, Failure> {
        // In production a proxy looks for the port that it was told, and for no other.
        let conflict = if config.is_production() { PortConflict::Refuse } else { conflict };
        let (public, port, busy_port) = match (passed.is_empty(), config.listen.as_slice()) {
            (false, _) => {
                let adopted = net::adopt(passed)?;
                (adopted.listeners, adopted.port, None)
            }
            (true, []) => {
                let bound = net::bind(config.port.value, conflict).await?;
                (bound.listeners, bound.port, bound.busy_port)
            }
            (true, addresses) => {
                let listeners = net::bind_each(addresses).await?;
                let first = addresses_of(&listeners).first().map_or(0, SocketAddr::port);
                (listeners, first, None)
            }
        };
        let backend = net::bind_each(&config.bapi_listen).await?;
        let admin = net::bind_each(&config.admin_listen).await?;
        let local = match *config.proxy_protocol && backend.is_empty() {
            true => net::bind_each(&[(Ipv4Addr::LOCALHOST, 0).into()]).await?,
            false => Vec::new(),
        };
        let addresses = Addresses {
            public: addresses_of(&public),
            tls: Vec::new(),
            backend: addresses_of(&backend),
            admin: addresses_of(&admin),
            local: addresses_of(&local),
        };
        let proxies = proxies(config, *config.proxy_protocol);
        let with_header = Transport { proxies, ..Transport::default() };
        let public = speaking(&with_header, public);
        let [backend, admin, local] =
            [backend, admin, local].map(|sockets| speaking(&Transport::default(), sockets));
        Ok(Self { public, backend, admin, local, port, busy_port, addresses })
    }

    /// Serves the public routes over TLS as well. `host` is what browsers will ask for.
    pub async fn add_tls(
        &mut self,
        config: &Config,
        tls: &TlsConfig,
        host: &str,
        folder: &Path,
        passed: Vec<std::net::TcpListener>,
    ) -> Result<(), Failure> {
        let only_loopback = !config.is_production() && !*config.expose_development;
        let accepted = tls::start(tls, host, folder)?;
        let sockets = match passed.is_empty() {
            true => tls::bind(tls, only_loopback).await?,
            false => net::adopt(passed)?.listeners,
        };
        self.addresses.tls = addresses_of(&sockets);
        let over_tls = Transport { proxies: proxies(config, *tls.proxy_protocol), tls: Some(accepted) };
        self.public.extend(speaking(&over_tls, sockets));
        Ok(())
    }

    /// Answers on all addresses until `stop` turns true. Returns whether everything that was accepted
    /// was answered in time.
    pub async fn serve(self, app: &App, config: ListenerConfig, stop: watch::Receiver<bool>) -> bool {
        let public = match self.backend.is_empty() {
            true => Surface::Everything,
            false => Surface::Public,
        };
        let parts = [
            (self.public, sojourn_server::router_of(app, public)),
            (self.backend, sojourn_server::router_of(app, Surface::Backend)),
            (self.admin, sojourn_server::admin_router(app)),
            (self.local, sojourn_server::router_of(app, Surface::Everything)),
        ];
        let serving = parts
            .map(|(listeners, router)| tokio::spawn(net::serve(listeners, router, config, stop.clone())));
        let mut in_time = true;
        for part in serving {
            in_time &= part.await.unwrap_or(false);
        }
        in_time
    }
}

fn speaking(transport: &Transport, sockets: Vec<TcpListener>) -> Vec<Listener> {
    sockets.into_iter().map(|socket| Listener { socket, transport: transport.clone() }).collect()
}

/// The proxies whose connections begin with a header of the PROXY protocol.
fn proxies(config: &Config, write_a_header: bool) -> ProxyNetworks {
    ProxyNetworks::new(config.trusted_proxies.iter().copied().filter(|_| write_a_header))
}

fn addresses_of(sockets: &[TcpListener]) -> Vec<SocketAddr> {
    sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_this_machine_ask_over_loopback() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("address")).collect();
        for (public, backend, expected) in [
            (vec!["127.0.0.1:4000", "[::1]:4000"], vec![], "127.0.0.1:4000"),
            (vec!["0.0.0.0:4000"], vec![], "127.0.0.1:4000"),
            (vec!["[::]:4000"], vec![], "[::1]:4000"),
            (vec!["127.0.0.1:4000"], vec!["10.0.0.5:4001"], "10.0.0.5:4001"),
            (vec!["127.0.0.1:4000"], vec!["10.0.0.5:4001", "127.0.0.1:4002"], "127.0.0.1:4002"),
        ] {
            let addresses = Addresses {
                public: addresses(&public),
                backend: addresses(&backend),
                ..Addresses::default()
            };
            assert_eq!(addresses.local_api().to_string(), expected);
        }
    }
}
