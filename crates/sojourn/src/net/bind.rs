//! Binds the addresses that were given, or both loopback addresses to one port.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};

/// How many ports to try.
const MAX_TRIES: u16 = 100;

#[derive(Debug)]
pub struct Listeners {
    pub port: u16,
    pub listeners: Vec<TcpListener>,
    /// The wanted port, if another program listens on it.
    pub busy_port: Option<u16>,
}

/// What to do when another program listens on the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortConflict {
    TakeNext,
    Refuse,
}

/// Browsers reach `localhost` over either family, so both addresses belong to the port.
pub async fn bind(wanted: u16, conflict: PortConflict) -> Result<Listeners, Failure> {
    let last = if wanted == 0 { 0 } else { wanted.saturating_add(MAX_TRIES) };
    for port in wanted..=last {
        match bind_both(port).await {
            Ok((port, listeners)) => {
                let busy_port = (wanted != 0 && port != wanted).then_some(wanted);
                return Ok(Listeners { port, listeners, busy_port });
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse && conflict == PortConflict::TakeNext => {}
            Err(error) => return Err(bind_failed(port, &error)),
        }
    }
    Err(Failure::new(Exit::Other, "port_in_use", format!("ports {wanted} to {last} are all in use"))
        .because("other programs on this machine listen on them")
        .next("sojourn serve --port 0 takes any free port"))
}

/// The addresses as they are given, each of them or none.
pub async fn bind_each(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let failure = Failure::new(Exit::Other, "listen_unusable", format!("cannot listen on {address}"))
                .because(error.to_string());
            match error.kind() {
                ErrorKind::AddrInUse => failure.next(
                    "stop the program that uses it, or give another port; [::]:PORT holds 0.0.0.0:PORT, too",
                ),
                ErrorKind::PermissionDenied => {
                    failure.next("ports below 1024 need privileges; give a higher one")
                }
                ErrorKind::AddrNotAvailable => {
                    failure.next("give an address of this machine (ip address), or 0.0.0.0 for all of them")
                }
                _ => failure.next("give another address"),
            }
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Sockets that another process has bound. They do not block.
pub fn adopt(sockets: Vec<std::net::TcpListener>) -> Result<Listeners, Failure> {
    let listeners: io::Result<Vec<TcpListener>> = sockets.into_iter().map(TcpListener::from_std).collect();
    let adopted = listeners.and_then(|listeners| {
        let port =
            listeners.first().map(TcpListener::local_addr).transpose()?.map_or(0, |address| address.port());
        Ok(Listeners { port, listeners, busy_port: None })
    });
    adopted.map_err(|error| {
        Failure::new(Exit::Other, "listen_unusable", "cannot listen on the sockets of the service manager")
            .because(error.to_string())
    })
}

async fn bind_both(port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut tries = 0;
    loop {
        let v4 = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let chosen = v4.local_addr()?.port();
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, chosen))).await {
            Ok(v6) => return Ok((chosen, vec![v4, v6])),
            // "Any free port" was free on one family only: try another.
            Err(error) if error.kind() == ErrorKind::AddrInUse && port == 0 && tries < MAX_TRIES => {
                tries += 1;
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            // A machine without IPv6.
            Err(_) => return Ok((chosen, vec![v4])),
        }
    }
}

fn bind_failed(port: u16, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Other, "port_unusable", format!("cannot listen on port {port}"))
        .because(error.to_string());
    match error.kind() {
        ErrorKind::AddrInUse => {
            failure.next("stop the program that uses it, or give --port 0 for any free port")
        }
        ErrorKind::PermissionDenied => failure.next("ports below 1024 need privileges; give --port 4000"),
        _ => failure.next("give another --port"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bind_both_loopback_addresses_answer_on_one_port() {
        let bound = bind(0, PortConflict::Refuse).await.expect("a free port");
        let ports: Vec<u16> =
            bound.listeners.iter().map(|listener| listener.local_addr().expect("address").port()).collect();
        assert!(ports.iter().all(|port| *port == bound.port), "{ports:?}");
        assert_eq!(bound.busy_port, None);
    }

    #[tokio::test]
    async fn a_busy_port_gives_way_to_the_next_free_one() {
        let first = bind(4620, PortConflict::TakeNext).await.expect("a free port");
        let second = bind(first.port, PortConflict::TakeNext).await.expect("the next one");
        assert!(second.port > first.port);
        assert_eq!(second.busy_port, Some(first.port));
    }

    #[tokio::test]
    async fn given_addresses_are_bound_or_refused_by_name() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = bind_each(&[any, any]).await.expect("two free ports");
        let taken = bound[0].local_addr().expect("address");
        let failure = bind_each(&[taken]).await.expect_err("taken");
        assert!(failure.what.contains(&taken.to_string()) && failure.next.is_some(), "{failure}");
        let foreign = bind_each(&["192.0.2.1:0".parse().expect("address")]).await.expect_err("not ours");
        assert!(foreign.next.is_some_and(|next| next.contains("0.0.0.0")));
    }

    #[tokio::test]
    async fn a_port_that_is_busy_on_ipv6_only_counts_as_busy() {
        let Ok(v6) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
        let port = v6.local_addr().expect("address").port();
        let failure = bind(port, PortConflict::Refuse).await.expect_err("half taken");
        assert_eq!(failure.code, "port_unusable");
    }
}
