//! A receiver of webhooks on this machine.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    headers: HeaderMap,
    pub body: String,
}

impl Received {
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {self:?}"));
        value.to_str().expect("a plain header")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Clone, Debug)]
enum Reply {
    Plain(u16, String),
    Redirect(String),
    Hang(Arc<Notify>),
}

#[derive(Debug)]
struct Inner {
    received: Mutex<Vec<Received>>,
    once: Mutex<Option<Reply>>,
    always: Mutex<Reply>,
    requests: AtomicUsize,
    arrived: Notify,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    inner: Arc<Inner>,
    port: u16,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            received: Mutex::default(),
            once: Mutex::default(),
            always: Mutex::new(Reply::Plain(200, "ok".to_owned())),
            requests: AtomicUsize::new(0),
            arrived: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { inner, port, serving }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What arrived since the last call, in order.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.inner.received.lock().expect("no panic"))
    }

    /// Waits until this many requests arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        loop {
            let arrived = self.inner.arrived.notified();
            if self.inner.received.lock().expect("no panic").len() >= count {
                return self.take();
            }
            arrived.await;
        }
    }

    /// Requests so far.
    pub fn connections(&self) -> usize {
        self.inner.requests.load(Ordering::SeqCst)
    }

    pub fn reply_once(&self, status: u16, text: &str) {
        *self.inner.once.lock().expect("no panic") = Some(Reply::Plain(status, text.to_owned()));
    }

    pub fn reply_always(&self, status: u16, text: &str) {
        *self.inner.always.lock().expect("no panic") = Reply::Plain(status, text.to_owned());
    }

    pub fn redirect_to(&self, url: &str) {
        *self.inner.always.lock().expect("no panic") = Reply::Redirect(url.to_owned());
    }

    /// Lets requests wait until the returned signal.
    pub fn hang(&self) -> Arc<Notify> {
        let release = Arc::new(Notify::new());
        *self.inner.always.lock().expect("no panic") = Reply::Hang(Arc::clone(&release));
        release
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    inner.requests.fetch_add(1, Ordering::SeqCst);
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    inner.received.lock().expect("no panic").push(Received { headers, body });
    inner.arrived.notify_waiters();
    let once = inner.once.lock().expect("no panic").take();
    let reply = once.unwrap_or_else(|| inner.always.lock().expect("no panic").clone());
    match reply {
        Reply::Plain(status, text) => (StatusCode::from_u16(status).expect("a status"), text).into_response(),
        Reply::Redirect(url) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url)]).into_response(),
        Reply::Hang(release) => {
            release.notified().await;
            StatusCode::OK.into_response()
        }
    }
}
