//! The PROXY protocol, versions 1 and 2: the address of the client that a proxy accepted.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Where the proxies connect from that say who their client is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyNetworks(Arc<[IpNet]>);

impl ProxyNetworks {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    pub fn contains(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Far more than the addresses need: version 2 allows 64 KiB of extensions.
const MAX_HEADER_BYTES: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    #[error("the connection does not begin with a header of the PROXY protocol")]
    Malformed,
    #[error("the header is longer than {MAX_HEADER_BYTES} bytes")]
    TooLong,
    #[error("the connection ended within the header")]
    Ended,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads the header and nothing behind it: the address of the client, or None where the proxy
/// speaks for itself, as in a health check.
pub async fn read_client_address(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let mut header: Vec<u8> = Vec::new();
    loop {
        let before = header.len();
        let received = stream.fill_buf().await?;
        let count = received.len();
        if count == 0 {
            return Err(ProxyHeaderError::Ended);
        }
        header.extend_from_slice(received);
        match ProxyHeader::parse(&header, ParseConfig::default()) {
            Ok((parsed, length)) => {
                let client = parsed.proxied_address().map(|address| address.source);
                stream.consume(length - before);
                return Ok(client);
            }
            Err(Error::BufferTooShort) if header.len() >= MAX_HEADER_BYTES => {
                return Err(ProxyHeaderError::TooLong);
            }
            Err(Error::BufferTooShort) => stream.consume(count),
            Err(_) => return Err(ProxyHeaderError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

    use super::*;

    /// The address from a connection that carries `bytes` in pieces of `piece`, and what follows.
    async fn read(bytes: &[u8], piece: usize) -> Result<(Option<String>, String), String> {
        let (mut client, server) = tokio::io::duplex(piece);
        let bytes = bytes.to_vec();
        let sent = tokio::spawn(async move {
            for piece in bytes.chunks(piece) {
                let _ = client.write_all(piece).await;
            }
        });
        let mut server = BufReader::with_capacity(64, server);
        let address = read_client_address(&mut server).await.map_err(|error| error.to_string())?;
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.expect("text");
        sent.await.expect("sent");
        Ok((address.map(|address| address.to_string()), rest))
    }

    fn version_2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([0x20 | command, family, length[0], length[1]]);
        header.extend(payload);
        header.extend(b"GET / HTTP/1.1");
        header
    }

    #[tokio::test]
    async fn the_clients_address_is_read_and_nothing_behind_it() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x01, 0xbb];
        // PP2_TYPE_NOOP with two bytes.
        let extended = [&v4[..], &[0x04, 0, 2, 0, 0]].concat();
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[33] = 9;
        let rows: &[(&str, Vec<u8>, Option<&str>)] = &[
            (
                "v1, IPv4",
                b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nGET / HTTP/1.1".to_vec(),
                Some("192.0.2.7:40000"),
            ),
            (
                "v1, IPv6",
                b"PROXY TCP6 2001:db8::1 2001:db8::2 9 443\r\nGET / HTTP/1.1".to_vec(),
                Some("[2001:db8::1]:9"),
            ),
            ("v1, unknown", b"PROXY UNKNOWN\r\nGET / HTTP/1.1".to_vec(), None),
            ("v2, IPv4", version_2(1, 0x11, &v4), Some("192.0.2.7:40000")),
            ("v2, IPv4 and an extension", version_2(1, 0x11, &extended), Some("192.0.2.7:40000")),
            ("v2, IPv6", version_2(1, 0x21, &v6), Some("[2001:db8::]:9")),
            ("v2, the proxy itself", version_2(0, 0, b""), None),
        ];
        for (what, bytes, client) in rows {
            for piece in [1, 7, 1024] {
                let (address, rest) = read(bytes, piece).await.expect(what);
                assert_eq!((address.as_deref(), rest.as_str()), (*client, "GET / HTTP/1.1"), "{what}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 8192]].concat();
        let too_long = version_2(1, 0x11, &[0; 60_000]);
        let rows: &[(&[u8], &str)] = &[
            (b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "does not begin"),
            (b"PROXY TCP4 192.0.2.700 198.51.100.1 40000 443\r\n", "does not begin"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 443\r\n", "does not begin"),
            (&endless, "does not begin"),
            (&version_2(1, 0x11, &[0; 4]), "does not begin"),
            (&version_2(2, 0x11, &[0; 12]), "does not begin"),
            (&too_long, "longer than 4096 bytes"),
            (b"PROXY TCP4 192.0.2.7", "ended within the header"),
        ];
        for (bytes, why) in rows {
            let error = read(bytes, 64).await.expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_proxy_is_trusted_by_its_network_in_either_family() {
        let trusted =
            ProxyNetworks::new(["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().expect("a network")));
        for (peer, expected) in [
            ("10.1.2.3:1", true),
            ("[::ffff:10.1.2.3]:1", true),
            ("[2001:db8::5]:1", true),
            ("11.0.0.1:1", false),
            ("[2001:db9::5]:1", false),
        ] {
            assert_eq!(trusted.contains(peer.parse().expect("an address")), expected, "{peer}");
        }
    }
}
