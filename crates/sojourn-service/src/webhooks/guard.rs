//! Protects the network of the server from webhooks (SSRF, WHK-02): a receiver is in the public
//! internet, or in a network that the operator allowed. Names are resolved once per connection, and
//! the connection goes to the addresses that were checked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sojourn_core::webhook::is_public;
use url::{Host, Url};

const MAX_URL_BYTES: usize = 2048;

/// Why a URL cannot be the one of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlRefusal {
    /// It is no absolute URL, or too long.
    Malformed,
    /// It contains a user name, a password or a fragment.
    Credentials,
    /// The scheme is neither `https`, nor `http` towards an allowed network.
    Scheme,
    /// The host is an address that is neither public nor in an allowed network.
    Address(IpAddr),
}

/// Decides which addresses may be reached.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    allowed: Arc<[IpNet]>,
    /// Whether public addresses are allowed too: not without encryption.
    with_public: bool,
}

/// The host of a webhook has no address that may be reached.
#[derive(Debug, thiserror::Error)]
#[error("{host} is at {address}, which is neither a public address nor in webhooks.allowed_networks")]
struct AddressRefused {
    host: String,
    address: IpAddr,
}

impl Guard {
    pub(crate) fn new(mut allowed: Vec<IpNet>, with_loopback: bool) -> Self {
        if with_loopback {
            let loopback: [IpAddr; 2] = [[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
            // The whole of 127.0.0.0/8.
            allowed.extend(loopback.map(|address| {
                let length = if address.is_ipv4() { 8 } else { 128 };
                IpNet::new_assert(address, length)
            }));
        }
        Self { allowed: allowed.into(), with_public: true }
    }

    /// The guard for requests that are not encrypted.
    pub(crate) fn for_plain_http(&self) -> Self {
        Self { allowed: Arc::clone(&self.allowed), with_public: false }
    }

    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        // An IPv4-mapped address is in the network of the IPv4 address.
        let address = address.to_canonical();
        (self.with_public && is_public(address))
            || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// The URL in its normal form.
    pub(super) fn checked_url(&self, text: &str) -> Result<String, UrlRefusal> {
        let url = Url::parse(text).map_err(|_| UrlRefusal::Malformed)?;
        if url.as_str().len() > MAX_URL_BYTES || url.host().is_none() {
            return Err(UrlRefusal::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlRefusal::Credentials);
        }
        let guard = match url.scheme() {
            "https" => self.clone(),
            "http" if !self.allowed.is_empty() => self.for_plain_http(),
            _ => return Err(UrlRefusal::Scheme),
        };
        match guard.literal(&url) {
            Some(address) if !guard.permits(address) && is_public(address) => Err(UrlRefusal::Scheme),
            Some(address) if !guard.permits(address) => Err(UrlRefusal::Address(address)),
            _ => Ok(url.into()),
        }
    }

    /// An address in the URL, which no resolver sees.
    pub(super) fn literal(&self, url: &Url) -> Option<IpAddr> {
        match url.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    async fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
        let (good, refused): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| self.permits(address.ip()));
        match (good.is_empty(), refused.first()) {
            (true, Some(address)) => {
                Err(AddressRefused { host: host.to_owned(), address: address.ip() }.into())
            }
            _ => Ok(good),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.lookup(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(networks: &[&str]) -> Guard {
        let parse = |text: &&str| text.parse().expect("a network");
        Guard::new(networks.iter().map(parse).collect(), false)
    }

    #[test]
    fn whk_02_a_private_address_in_a_url_is_refused_unless_allowed() {
        let address = |text: &str| Err(UrlRefusal::Address(text.parse().expect("an address")));
        let strict = guard(&[]);
        assert_eq!(strict.checked_url("https://10.0.0.1/x"), address("10.0.0.1"));
        assert_eq!(strict.checked_url("https://[::ffff:10.0.0.1]/x"), address("::ffff:10.0.0.1"));
        // Other spellings of 127.0.0.1, which URLs give in one form.
        for host in ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1."] {
            let refused = strict.checked_url(&format!("https://{host}/"));
            assert_eq!(refused, address("127.0.0.1"), "{host}");
        }
        let allowing = guard(&["10.0.0.0/8"]);
        assert!(allowing.checked_url("https://10.0.0.1/x").is_ok());
        assert!(allowing.checked_url("https://[::ffff:10.0.0.1]/x").is_ok());
        assert_eq!(allowing.checked_url("https://192.168.0.1/"), address("192.168.0.1"));
    }

    #[test]
    fn http_is_for_allowed_networks_only() {
        assert_eq!(guard(&[]).checked_url("http://example.com/"), Err(UrlRefusal::Scheme));
        let allowing = guard(&["10.0.0.0/8"]);
        assert!(allowing.checked_url("http://10.1.1.1/hook").is_ok());
        assert_eq!(allowing.checked_url("http://8.8.8.8/hook"), Err(UrlRefusal::Scheme));
        // Where a name leads is known at the connection.
        assert!(allowing.checked_url("http://worker.internal/hook").is_ok());
        assert!(!allowing.for_plain_http().permits([8, 8, 8, 8].into()));
    }

    #[test]
    fn a_url_has_a_host_and_no_credentials() {
        let strict = guard(&[]);
        assert_eq!(strict.checked_url("/hook"), Err(UrlRefusal::Malformed));
        assert_eq!(strict.checked_url("ftp://example.com/"), Err(UrlRefusal::Scheme));
        assert_eq!(strict.checked_url("https://a:b@example.com/"), Err(UrlRefusal::Credentials));
        assert_eq!(strict.checked_url("https://example.com/#x"), Err(UrlRefusal::Credentials));
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(strict.checked_url(&long), Err(UrlRefusal::Malformed));
        assert_eq!(strict.checked_url("https://EXAMPLE.com"), Ok("https://example.com/".to_owned()));
    }

    #[tokio::test]
    async fn whk_02_a_name_that_leads_to_a_private_address_is_refused() {
        let refused = guard(&[]).lookup("localhost").await.expect_err("loopback");
        assert!(refused.to_string().contains("allowed_networks"), "{refused}");
        let found = Guard::new(Vec::new(), true).lookup("localhost").await.expect("allowed");
        assert!(found.iter().all(|address| address.ip().is_loopback()) && !found.is_empty());
    }
}
