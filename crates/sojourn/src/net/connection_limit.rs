//! Limits on the number of open connections, in total and by address (INP-02).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use sojourn_metrics::{CONNECTIONS, CONNECTIONS_REFUSED, Inside};

#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    pub total: usize,
    /// For one IPv4 address, or for one /64 of IPv6: one host has that many addresses.
    pub per_address: usize,
    /// Whether `per_address` holds for loopback as well, where proxies and the browsers of tests
    /// connect from.
    pub on_loopback: bool,
    /// Whose connections carry requests of many clients: `per_address` does not hold for them.
    pub proxies: &'static [IpNet],
}

/// How many connections the process can open beside its files, by the limit of the system.
pub fn open_file_limit() -> usize {
    const FILES: usize = 100;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).and_then(|limit| limit.parse().ok());
    soft.map_or(usize::MAX, |soft: usize| soft.saturating_sub(FILES).max(FILES))
}

#[derive(Debug, Clone)]
pub struct ConnectionLimiter {
    limits: ConnectionLimits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    /// None: of a proxy that has not told the client's address yet; counted in the total only.
    address: Option<IpAddr>,
    limiter: ConnectionLimiter,
    /// In the metrics.
    _shown: Inside,
}

impl ConnectionLimiter {
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// A permit for one more connection from `peer`, unless a limit is reached.
    pub fn try_acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let mut permit = self.try_acquire_for_proxy()?;
        if self.limits.proxies.iter().any(|network| network.contains(&peer.to_canonical())) {
            return Some(permit);
        }
        permit.assign(peer).then_some(permit)
    }

    /// A permit for one more connection from a proxy, unless the total is reached. The limit of
    /// one address begins to count with [`ConnectionPermit::assign`].
    pub fn try_acquire_for_proxy(&self) -> Option<ConnectionPermit> {
        let mut counts = self.lock();
        if counts.total >= self.limits.total {
            CONNECTIONS_REFUSED.inc();
            return None;
        }
        counts.total += 1;
        Some(ConnectionPermit { address: None, limiter: self.clone(), _shown: CONNECTIONS.enter() })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermit {
    /// Counts the connection for the address of its client. False: that address has as many
    /// connections as it may have.
    pub fn assign(&mut self, client: IpAddr) -> bool {
        let address = counted_address(client);
        let limits = self.limiter.limits;
        let capped = limits.on_loopback || !address.is_loopback();
        let mut counts = self.limiter.lock();
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if capped && held >= limits.per_address {
            CONNECTIONS_REFUSED.inc();
            return false;
        }
        counts.by_address.insert(address, held + 1);
        self.address = Some(address);
        true
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.limiter.lock();
        counts.total -= 1;
        let Some(address) = self.address else { return };
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        match held {
            // Addresses without a connection leave the table, or it would grow for ever.
            0 | 1 => counts.by_address.remove(&address),
            held => counts.by_address.insert(address, held - 1),
        };
    }
}

fn counted_address(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits =
        ConnectionLimits { total: 5, per_address: 2, on_loopback: false, proxies: &[] };

    fn try_acquire(limiter: &ConnectionLimiter, peer: &str) -> Option<ConnectionPermit> {
        limiter.try_acquire(peer.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_a_limit_and_gets_a_permit_back() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let first = try_acquire(&limiter, "192.0.2.1").expect("a permit");
        let _second = try_acquire(&limiter, "192.0.2.1").expect("a permit");
        assert!(try_acquire(&limiter, "192.0.2.1").is_none());
        let _other = try_acquire(&limiter, "192.0.2.2").expect("another address has its own limit");
        drop(first);
        try_acquire(&limiter, "192.0.2.1").expect("a permit again");
    }

    #[test]
    fn an_ipv6_network_and_an_embedded_ipv4_address_count_as_one() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let _permits = [try_acquire(&limiter, "2001:db8::1"), try_acquire(&limiter, "2001:db8::2")];
        assert!(try_acquire(&limiter, "2001:db8::3").is_none());
        assert!(try_acquire(&limiter, "2001:db8:0:1::1").is_some());
        let _permits = [try_acquire(&limiter, "192.0.2.1"), try_acquire(&limiter, "::ffff:192.0.2.1")];
        assert!(try_acquire(&limiter, "192.0.2.1").is_none());
    }

    #[test]
    fn loopback_is_limited_by_the_total_only() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let _permits: Vec<ConnectionPermit> =
            (0..5).map(|_| try_acquire(&limiter, "127.0.0.1").expect("a permit")).collect();
        assert!(try_acquire(&limiter, "::1").is_none());
        assert!(try_acquire(&limiter, "192.0.2.1").is_none());
    }

    #[test]
    fn a_proxy_is_counted_by_the_clients_behind_it() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let client = "192.0.2.1".parse().expect("an address");
        let mut permits: Vec<ConnectionPermit> =
            (0..3).map(|_| limiter.try_acquire_for_proxy().expect("a permit")).collect();
        let assigned: Vec<bool> = permits.iter_mut().map(|permit| permit.assign(client)).collect();
        assert_eq!(assigned, [true, true, false]);
        let _others: Vec<_> = (0..2).map(|_| limiter.try_acquire_for_proxy().expect("a permit")).collect();
        assert!(limiter.try_acquire_for_proxy().is_none(), "the total holds for proxies too");
        drop(permits);
        assert!(limiter.try_acquire(client).is_some());
    }

    #[test]
    fn a_declared_proxy_is_limited_by_the_total_only() {
        let proxies: &'static [IpNet] = Box::leak(Box::new(["10.0.0.0/8".parse().expect("a network")]));
        let limiter = ConnectionLimiter::new(ConnectionLimits { proxies, ..LIMITS });
        let _permits = ["10.1.2.3", "::ffff:10.1.2.3", "10.1.2.3"]
            .map(|peer| try_acquire(&limiter, peer).expect("a permit"));
        let _others = ["192.0.2.1"; 2].map(|peer| try_acquire(&limiter, peer).expect("a permit"));
        assert!(try_acquire(&limiter, "10.1.2.3").is_none(), "five in total");
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let limiter = ConnectionLimiter::new(LIMITS);
        drop([try_acquire(&limiter, "192.0.2.1"), try_acquire(&limiter, "192.0.2.1")]);
        assert!(limiter.counts.lock().expect("nobody panicked").by_address.is_empty());
    }
}
