//! Limits on the number of open connections, in total and by address (INP-02).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    pub total: usize,
    /// For one IPv4 address, or for one /64 of IPv6: one host has that many addresses.
    pub per_address: usize,
    /// Whether `per_address` holds for loopback as well, where proxies and the browsers of tests
    /// connect from.
    pub on_loopback: bool,
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
    address: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl ConnectionLimiter {
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// A permit for one more connection from `peer`, unless a limit is reached.
    pub fn try_acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let address = counted_address(peer);
        let capped = self.limits.on_loopback || !address.is_loopback();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.limits.total || (capped && held >= self.limits.per_address) {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, held + 1);
        Some(ConnectionPermit { address, counts: self.counts.clone() })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        let held = counts.by_address.get(&self.address).copied().unwrap_or_default();
        match held {
            // Addresses without a connection leave the table, or it would grow for ever.
            0 | 1 => counts.by_address.remove(&self.address),
            held => counts.by_address.insert(self.address, held - 1),
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

    const LIMITS: ConnectionLimits = ConnectionLimits { total: 5, per_address: 2, on_loopback: false };

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
    fn an_address_without_connections_is_forgotten() {
        let limiter = ConnectionLimiter::new(LIMITS);
        drop([try_acquire(&limiter, "192.0.2.1"), try_acquire(&limiter, "192.0.2.1")]);
        assert!(limiter.counts.lock().expect("nobody panicked").by_address.is_empty());
    }
}
