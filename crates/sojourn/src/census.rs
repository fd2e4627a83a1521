//! Who holds how many connections, and how many are too many (INP-02).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Of everybody.
    pub total: usize,
    /// Of one address; of one /64 in IPv6, where a single host has that many addresses.
    pub per_address: usize,
    /// Whether the second cap holds for this machine as well, where proxies and the browsers of
    /// tests are.
    pub on_loopback: bool,
}

/// How many connections the process can have open beside its files, as far as the system tells.
pub fn affordable() -> usize {
    const FILES: usize = 100;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).and_then(|limit| limit.parse().ok());
    soft.map_or(usize::MAX, |soft: usize| soft.saturating_sub(FILES).max(FILES))
}

/// Counts the open connections.
#[derive(Debug, Clone)]
pub struct Census {
    caps: Caps,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub struct Place {
    address: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Census {
    pub fn new(caps: Caps) -> Self {
        Self { caps, counts: Arc::default() }
    }

    /// A place for one more connection of `peer`, if there is one.
    pub fn admit(&self, peer: IpAddr) -> Option<Place> {
        let address = counted_as(peer);
        let capped = self.caps.on_loopback || !address.is_loopback();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.caps.total || (capped && held >= self.caps.per_address) {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, held + 1);
        Some(Place { address, counts: self.counts.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        let held = counts.by_address.get(&self.address).copied().unwrap_or_default();
        match held {
            // Only those that are here are kept, or the table would grow for ever.
            0 | 1 => counts.by_address.remove(&self.address),
            held => counts.by_address.insert(self.address, held - 1),
        };
    }
}

fn counted_as(peer: IpAddr) -> IpAddr {
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

    const CAPS: Caps = Caps { total: 5, per_address: 2, on_loopback: false };

    fn admit(census: &Census, peer: &str) -> Option<Place> {
        census.admit(peer.parse().expect("an address"))
    }

    #[test]
    fn inp_02_an_address_has_a_maximum_of_connections() {
        let census = Census::new(CAPS);
        let first = admit(&census, "192.0.2.1").expect("a place");
        let _second = admit(&census, "192.0.2.1").expect("a place");
        assert!(admit(&census, "192.0.2.1").is_none());
        let _other = admit(&census, "192.0.2.2").expect("another address has its own");
        drop(first);
        admit(&census, "192.0.2.1").expect("a place again");
    }

    #[test]
    fn inp_02_ipv6_addresses_of_one_host_count_as_one() {
        let census = Census::new(CAPS);
        let _places = [admit(&census, "2001:db8::1"), admit(&census, "2001:db8::2")];
        assert!(admit(&census, "2001:db8::3").is_none());
        assert!(admit(&census, "2001:db8:0:1::1").is_some());
        let _places = [admit(&census, "192.0.2.1"), admit(&census, "::ffff:192.0.2.1")];
        assert!(admit(&census, "192.0.2.1").is_none());
    }

    #[test]
    fn inp_02_this_machine_holds_more_but_no_more_than_all_may() {
        let census = Census::new(CAPS);
        let _places: Vec<Place> = (0..5).map(|_| admit(&census, "127.0.0.1").expect("a place")).collect();
        assert!(admit(&census, "::1").is_none());
        assert!(admit(&census, "192.0.2.1").is_none());
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let census = Census::new(CAPS);
        drop([admit(&census, "192.0.2.1"), admit(&census, "192.0.2.1")]);
        assert!(census.counts.lock().expect("nobody panicked").by_address.is_empty());
    }
}
