//! Clients behind a proxy that speaks the PROXY protocol.

use super::*;

#[tokio::test]
async fn a_proxys_client_is_the_peer_and_strangers_are_no_proxies() {
    let loopback = || ProxyNetworks::new(["127.0.0.0/8".parse().expect("a network")]);
    let authority = Authority::new();
    let rows = [
        ("plain", Transport { proxies: loopback(), ..Transport::default() }),
        ("tls", Transport { proxies: loopback(), ..authority.transport() }),
    ];
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";
    for (name, transport) in rows {
        let server = start_with(transport.clone(), peer_address(), config(Duration::from_secs(1))).await;
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(header).await.expect("sent");
        let answer = if transport.tls.is_some() {
            exchange(&mut authority.handshake(stream).await, LAST_REQUEST).await
        } else {
            exchange(&mut stream, LAST_REQUEST).await
        };
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("192.0.2.7"), "{name}: {answer}");
        // A proxy that forgets its header is not taken for a client.
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        assert_eq!(exchange(&mut stream, LAST_REQUEST).await, "", "{name}");
    }
    let stranger =
        Transport { proxies: ProxyNetworks::new(["10.0.0.0/8".parse().expect("a network")]), tls: None };
    let server = start_with(stranger, peer_address(), config(Duration::from_secs(1))).await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let forged = [&header[..], LAST_REQUEST].concat();
    assert!(exchange(&mut stream, &forged).await.starts_with("HTTP/1.1 400"));
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    assert!(exchange(&mut stream, LAST_REQUEST).await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn the_limit_of_an_address_is_that_of_a_proxys_client() {
    let limits = ConnectionLimits { total: 100, per_address: 1, on_loopback: true, proxies: &[] };
    let proxies = ProxyNetworks::new(["127.0.0.0/8".parse().expect("a network")]);
    let transport = Transport { proxies, tls: None };
    let config = ListenerConfig { limits, ..config(Duration::from_secs(1)) };
    let server = start_with(transport, peer_address(), config).await;
    let connect = async |client: &str| {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        let header = format!("PROXY TCP4 {client} 198.51.100.1 40000 443\r\n");
        stream.write_all(header.as_bytes()).await.expect("sent");
        stream
    };
    let mut first = connect("192.0.2.1").await;
    first.write_all(REQUEST).await.expect("sent");
    let mut buffer = [0; 12];
    first.read_exact(&mut buffer).await.expect("answered");
    assert_eq!(&buffer, b"HTTP/1.1 200");
    assert!(exchange(&mut connect("192.0.2.1").await, LAST_REQUEST).await.starts_with("HTTP/1.1 503"));
    assert!(exchange(&mut connect("192.0.2.2").await, LAST_REQUEST).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_ends_the_connection() {
    let proxies = ProxyNetworks::new(["127.0.0.0/8".parse().expect("a network")]);
    let config =
        ListenerConfig { handshake_timeout: Duration::from_millis(50), ..config(Duration::from_secs(1)) };
    let server = start_with(Transport { proxies, tls: None }, peer_address(), config).await;
    let mut slow = TcpStream::connect(server.address).await.expect("connected");
    assert_eq!(exchange(&mut slow, b"PROXY TCP4 ").await, "");
}
