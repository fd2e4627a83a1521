//! Listening, accepting, and the limits of a connection before a request exists.

mod bind;
mod config;
mod connection;
mod connection_limit;
mod header_timeout;
mod http2;
mod listener;
mod parser_error;
mod proxy_protocol;
#[cfg(test)]
mod tests;
pub mod tls;
mod write_deadline;

pub use bind::{PortConflict, adopt, bind, bind_each};
pub use config::ListenerConfig;
pub use connection::Transport;
pub use connection_limit::{ConnectionLimits, open_file_limit};
pub use listener::{Listener, serve};
pub use proxy_protocol::ProxyNetworks;

/// The bytes that answer a client without a request having been parsed: by status, and by whether
/// a person navigated here with a browser.
pub type RenderRejection = fn(status: u16, is_navigation: bool) -> Vec<u8>;

/// How long a connection is read after it was closed in the middle of a request: without that the
/// kernel answers the client's next bytes with a reset, and the client loses the answer.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);
