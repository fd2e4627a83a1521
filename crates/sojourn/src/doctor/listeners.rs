//! The addresses that the server listens on, and how many connections it can hold.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::Check;
use crate::config::Config;
use crate::net::open_file_limit;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn check(config: &Config, server_runs: bool) -> Vec<Check> {
    let mut checks = vec![ports(config, server_runs).await];
    if let Some(check) = admin_is_private(config) {
        checks.push(check);
    }
    let (limit, wanted) =
        (open_file_limit(), usize::try_from(*config.connections_total).unwrap_or(usize::MAX));
    // The limit of this shell; a service has the one of its unit.
    checks.push(match limit < wanted {
        true => Check::warning("open files", format!("{limit} connections, {wanted} are configured"))
            .because("the limit on open files of this shell; the server says its own at the start")
            .next("raise it: LimitNOFILE= in the unit, ulimit -n, or lower connections.total"),
        false => Check::ok("open files", format!("enough for {wanted} connections")),
    });
    checks
}

fn configured(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let listed = [
        ("listen", &config.listen.value),
        ("bapi_listen", &config.bapi_listen.value),
        ("admin_listen", &config.admin_listen.value),
    ];
    let mut found: Vec<_> = listed
        .into_iter()
        .flat_map(|(key, addresses)| addresses.iter().map(move |address| (key, *address)))
        .collect();
    if config.listen.is_empty() {
        found.push(("port", SocketAddr::from(([127, 0, 0, 1], *config.port))));
    }
    let tls = config.tls.as_ref().and_then(|tls| tls.listen.as_ref());
    found.extend(tls.iter().flat_map(|listen| listen.iter().map(|address| ("tls.listen", *address))));
    found.retain(|(_, address)| address.port() != 0);
    found
}

/// Answered by the server that runs, or free for one that is to start.
async fn ports(config: &Config, server_runs: bool) -> Check {
    let addresses = configured(config);
    let mut wrong = Vec::new();
    for (key, address) in &addresses {
        let problem = match server_runs {
            true => {
                connect(*address).await.err().map(|why| format!("{key} {address} does not answer: {why}"))
            }
            false => {
                let bound = TcpListener::bind(address).await;
                bound.err().map(|why| format!("{key} {address} cannot be listened on: {why}"))
            }
        };
        wrong.extend(problem);
    }
    let list: Vec<String> = addresses.iter().map(|(_, address)| address.to_string()).collect();
    match (wrong.is_empty(), server_runs) {
        (true, true) => Check::ok("ports", format!("{} answer", list.join(", "))),
        (true, false) => Check::ok("ports", format!("{} are free", list.join(", "))),
        (false, true) => Check::failed("ports", "the server does not answer where it is configured")
            .because(wrong.join("\n"))
            .next("restart it: the configuration changed since its start, or a service manager gave it other sockets"),
        (false, false) => Check::failed("ports", "an address cannot be listened on")
            .because(wrong.join("\n"))
            .next("end the program that listens there (ss -ltnp), or give another address; ports below 1024 need CAP_NET_BIND_SERVICE"),
    }
}

/// As a program on this machine reaches the address.
async fn connect(address: SocketAddr) -> Result<(), String> {
    let local = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        _ => address,
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(local)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())),
    }
}

/// Health and metrics are for supervisors, and tell strangers how busy the server is.
fn admin_is_private(config: &Config) -> Option<Check> {
    let public = config.admin_listen.iter().find(|address| match address.ip().to_canonical() {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    })?;
    Some(
        Check::warning("admin address", format!("admin_listen {public} may be reached by strangers"))
            .because("it answers without a key")
            .next("give it an address of a private network, or close the port in the firewall"),
    )
}
