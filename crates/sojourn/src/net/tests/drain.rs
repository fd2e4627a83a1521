//! A stop under load.

use super::*;

/// Requests over kept connections, one after the other, until the server is gone. A request that
/// cannot connect was not accepted; any other error is a request that got lost.
async fn send_until_refused(client: reqwest::Client, url: String) -> (usize, Vec<String>) {
    let (mut answered, mut lost) = (0, Vec::new());
    loop {
        match client.get(&url).send().await {
            Ok(answer) => match answer.bytes().await {
                Ok(_) => answered += 1,
                Err(error) => lost.push(format!("{error:?}")),
            },
            Err(error) if error.is_connect() => return (answered, lost),
            Err(error) => lost.push(format!("{error:?}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_11_a_stop_under_load_loses_no_request_on_kept_connections() {
    let authority = Authority::new();
    for (name, transport) in [("plain", Transport::default()), ("tls", authority.transport())] {
        for only_http1 in [true, false] {
            let server = start_with(transport.clone(), peer_address(), config(Duration::from_secs(20))).await;
            let scheme = if transport.tls.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://localhost:{}/", server.address.port());
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    // HTTP/1.1: no retry may hide a lost request. HTTP/2: the client sends again what
                    // the server says that it has not begun (RFC 9113, 6.8), and nothing else.
                    let client = authority.client();
                    let client = match only_http1 {
                        true => client.http1_only().retry(reqwest::retry::never()),
                        false => client,
                    };
                    tokio::spawn(send_until_refused(client.build().expect("a client"), url.clone()))
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.stop.send(true).expect("serving");
            for worker in workers {
                let (answered, lost) = worker.await.expect("no panic");
                assert!(answered > 0, "{name}");
                assert_eq!(lost, Vec::<String>::new(), "{name}, http/1.1 only: {only_http1}");
            }
            assert!(server.served.await.expect("no panic"));
        }
    }
}
