//! Who is at the other end of a connection, where declared proxies stand between (HST-02).

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};
use ipnet::IpNet;

/// In which headers a proxy says whom it forwards for. One kind is read: a proxy that writes the one
/// passes the other on as its client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Whose word counts; nobody's by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    /// The networks that proxies connect from.
    pub networks: Vec<IpNet>,
    /// What they write.
    pub header: ForwardedHeader,
}

impl TrustedProxies {
    fn includes(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// What became of the forwarding headers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// There were none of the kind that is read.
    Absent,
    /// A declared proxy wrote them.
    Believed,
    /// They came from somebody else.
    Ignored,
}

/// A request's way here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The client's address: that of the peer, or what declared proxies say.
    pub client: Option<IpAddr>,
    /// How the client reached the outermost declared proxy, if that says so.
    pub scheme: Option<String>,
    /// The host that the client named there.
    pub host: Option<String>,
    pub headers: Headers,
}

impl Connection {
    pub fn of(proxies: &TrustedProxies, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        Self::from_peer(proxies, peer, headers)
    }

    fn from_peer(proxies: &TrustedProxies, peer: Option<IpAddr>, headers: &HeaderMap) -> Self {
        // A listener on [::] shows IPv4 peers as ::ffff:192.0.2.1.
        let peer = peer.map(|peer| peer.to_canonical());
        let said = match proxies.header {
            ForwardedHeader::XForwarded => x_forwarded(headers),
            ForwardedHeader::Forwarded => forwarded(headers),
        };
        let direct = |headers| Self { client: peer, scheme: None, host: None, headers };
        match (said, peer) {
            (None, _) => direct(Headers::Absent),
            (Some(said), Some(peer)) if proxies.includes(peer) => Self {
                client: Some(client_of(proxies, peer, &said.hops)),
                scheme: said.scheme,
                host: said.host,
                headers: Headers::Believed,
            },
            (Some(_), _) => direct(Headers::Ignored),
        }
    }
}

/// From the nearest hop on: a declared proxy is believed whom it names, anybody else is the client. What
/// is behind the client is the client's own word.
fn client_of(proxies: &TrustedProxies, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
    let mut client = peer;
    for hop in hops.iter().rev() {
        // A hop that hides or misspells its client is the last that is known.
        let Some(hop) = hop else { break };
        client = *hop;
        if !proxies.includes(client) {
            break;
        }
    }
    client
}

/// What the headers say. The outermost client comes first.
struct Said {
    hops: Vec<Option<IpAddr>>,
    scheme: Option<String>,
    host: Option<String>,
}

/// All values of a header as one list, as RFC 9110 section 5.3 reads it.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or(""));
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

fn x_forwarded(headers: &HeaderMap) -> Option<Said> {
    let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    let [hops, schemes, hosts] = names.map(|name| list(headers, name));
    if hops.is_empty() && schemes.is_empty() && hosts.is_empty() {
        return None;
    }
    // The nearest proxy's word is the last.
    let last = |values: &[&str]| values.last().map(|value| value.to_ascii_lowercase());
    Some(Said {
        hops: hops.iter().map(|hop| address(hop)).collect(),
        scheme: last(&schemes),
        host: last(&hosts),
    })
}

fn forwarded(headers: &HeaderMap) -> Option<Said> {
    let elements = list(headers, "forwarded");
    let nearest = *elements.last()?;
    Some(Said {
        hops: elements.iter().map(|element| parameter(element, "for").as_deref().and_then(address)).collect(),
        scheme: parameter(nearest, "proto").map(|scheme| scheme.to_ascii_lowercase()),
        host: parameter(nearest, "host").map(|host| host.to_ascii_lowercase()),
    })
}

/// A parameter of an element of `Forwarded`: `for="[2001:db8::1]:4711";proto=https`.
fn parameter(element: &str, name: &str) -> Option<String> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    let value = found.next()?.1.trim();
    Some(value.trim_matches('"').to_owned())
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bare).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        let networks = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8:ffff::/48"];
        TrustedProxies { networks: networks.map(|text| text.parse().expect("network")).to_vec(), header }
    }

    fn seen(header: ForwardedHeader, peer: &str, headers: &[(&'static str, &str)]) -> Connection {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("value"));
        }
        Connection::from_peer(&proxies(header), Some(peer.parse().expect("address")), &map)
    }

    fn client(header: ForwardedHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        seen(header, peer, headers).client.expect("a client").to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let name = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("127.0.0.1", vec![(name, "203.0.113.9")], "203.0.113.9"),
            ("::ffff:127.0.0.1", vec![(name, "203.0.113.9")], "203.0.113.9"),
            // What the client wrote itself stands to the left, and counts for nothing.
            ("127.0.0.1", vec![(name, "198.51.100.1, 203.0.113.9")], "203.0.113.9"),
            ("127.0.0.1", vec![(name, "198.51.100.1"), (name, "203.0.113.9")], "203.0.113.9"),
            ("127.0.0.1", vec![(name, "198.51.100.1, 203.0.113.9, 10.1.2.3")], "203.0.113.9"),
            ("127.0.0.1", vec![(name, "10.0.0.9, 10.1.2.3")], "10.0.0.9"),
            ("127.0.0.1", vec![(name, "203.0.113.9, unknown")], "127.0.0.1"),
            ("127.0.0.1", vec![(name, "203.0.113.9, , 10.1.2.3")], "10.1.2.3"),
            ("127.0.0.1", vec![(name, "203.0.113.9:4711")], "203.0.113.9"),
            ("127.0.0.1", vec![(name, "[2001:db8::1]:4711")], "2001:db8::1"),
            ("127.0.0.1", vec![(name, "2001:db8::1")], "2001:db8::1"),
            ("127.0.0.1", vec![(name, "")], "127.0.0.1"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec![("forwarded", "for=203.0.113.9")], "127.0.0.1"),
            ("203.0.113.50", vec![(name, "198.51.100.1")], "203.0.113.50"),
            ("203.0.113.50", vec![(name, "127.0.0.1")], "203.0.113.50"),
        ] {
            assert_eq!(client(ForwardedHeader::XForwarded, peer, &headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn the_header_of_rfc_7239_is_read_where_it_was_chosen() {
        let name = "forwarded";
        for (headers, expected) in [
            (vec![(name, "for=203.0.113.9;proto=https;host=clerk.example.com")], "203.0.113.9"),
            (vec![(name, "for=198.51.100.1, For=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1"),
            (vec![(name, "for=203.0.113.9"), (name, "for=10.0.0.1")], "203.0.113.9"),
            (vec![(name, "for=_hidden")], "127.0.0.1"),
            (vec![(name, "proto=https")], "127.0.0.1"),
            (vec![("x-forwarded-for", "203.0.113.9")], "127.0.0.1"),
        ] {
            assert_eq!(client(ForwardedHeader::Forwarded, "127.0.0.1", &headers), expected, "{headers:?}");
        }
        let said = seen(ForwardedHeader::Forwarded, "10.0.0.1", &[(name, "for=x;proto=HTTP;host=A.example")]);
        assert_eq!((said.scheme.as_deref(), said.host.as_deref()), (Some("http"), Some("a.example")));
    }

    #[test]
    fn scheme_and_host_are_the_nearest_proxys_word_and_nobody_elses() {
        let headers = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "clerk.example.com")];
        let said = seen(ForwardedHeader::XForwarded, "127.0.0.1", &headers);
        assert_eq!(said.headers, Headers::Believed);
        assert_eq!(
            (said.scheme.as_deref(), said.host.as_deref()),
            (Some("https"), Some("clerk.example.com"))
        );
        let said = seen(ForwardedHeader::XForwarded, "203.0.113.50", &headers);
        assert_eq!((said.headers, said.scheme, said.host), (Headers::Ignored, None, None));
        assert_eq!(seen(ForwardedHeader::XForwarded, "203.0.113.50", &[]).headers, Headers::Absent);
        let nobody = TrustedProxies::default();
        let mut map = HeaderMap::new();
        map.insert("x-forwarded-for", "203.0.113.9".parse().expect("value"));
        let loopback = Some("127.0.0.1".parse().expect("address"));
        assert_eq!(Connection::from_peer(&nobody, loopback, &map).client, loopback);
    }
}
