//! Sends one request to a receiver: no redirects, no proxy, bounded in time and size.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, Response, header, redirect};
use sojourn_core::{time::seconds, webhook::excerpt};
use url::Url;

use super::guard::Guard;

const CONNECT_TIMEOUT: Duration = seconds(5);
/// For the whole request, from the name lookup to the last byte of the response that is read.
pub(super) const TIMEOUT: Duration = seconds(15);
/// Bytes of a response that are read.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// Connections that stay open for the next delivery, per host.
const IDLE_CONNECTIONS: usize = 2;

/// The response to a request, or why there was none.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) http_status: Option<u16>,
    pub(super) answer: Option<String>,
    pub(super) error: Option<String>,
}

/// HTTP clients that use the guard. They are built at the first use: a machine without root
/// certificates can run a server without webhooks.
#[derive(Debug)]
pub(super) struct Sender {
    encrypted: LazyClient,
    plain: LazyClient,
}

#[derive(Debug)]
struct LazyClient {
    guard: Guard,
    client: OnceLock<Result<Client, String>>,
}

impl Sender {
    pub(super) fn new(guard: Guard) -> Self {
        let lazy = |guard| LazyClient { guard, client: OnceLock::new() };
        Self { plain: lazy(guard.for_plain_http()), encrypted: lazy(guard) }
    }

    /// Sends `body` with these headers.
    pub(super) async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Received {
        match self.try_post(url, headers, body).await {
            Ok(response) => read(response).await,
            Err(error) => Received { http_status: None, answer: None, error: Some(error) },
        }
    }

    async fn try_post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Response, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let lazy = if url.scheme() == "https" { &self.encrypted } else { &self.plain };
        // An address in the URL never reaches the resolver.
        if let Some(address) = lazy.guard.literal(&url)
            && !lazy.guard.permits(address)
        {
            return Err(format!("{address} is neither a public address nor in webhooks.allowed_networks"));
        }
        let client = lazy.client.get_or_init(|| build(&lazy.guard)).as_ref().map_err(Clone::clone)?;
        let mut request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.map_err(|error| causes(&error.without_url()))
    }
}

fn build(guard: &Guard) -> Result<Client, String> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(guard.clone()))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .user_agent(concat!("sojourn/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| causes(&error))
}

async fn read(mut response: Response) -> Received {
    let status = response.status();
    let mut bytes = Vec::new();
    let mut error = match status.is_redirection() {
        true => Some("redirects are not followed; give the endpoint its final URL".to_owned()),
        false => None,
    };
    while bytes.len() < MAX_RESPONSE_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(broken) => {
                // The status counts; a receiver that has processed the event shall not get it again.
                if !status.is_success() {
                    error = error.or(Some(causes(&broken.without_url())));
                }
                break;
            }
        }
    }
    bytes.truncate(MAX_RESPONSE_BYTES);
    let answer = excerpt(&String::from_utf8_lossy(&bytes));
    Received { http_status: Some(status.as_u16()), answer: Some(answer), error }
}

/// An error with its causes: the outermost one alone rarely says anything.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    excerpt(&text)
}
