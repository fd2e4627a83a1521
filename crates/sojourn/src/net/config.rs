//! The limits of connections, and how long each part of one may take.

use std::time::Duration;

use super::RenderRejection;
use super::connection_limit::ConnectionLimits;

/// What holds for every connection of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenerConfig {
    pub limits: ConnectionLimits,
    /// Longest silence between requests. A tab refreshes its token every 43 s: a shorter
    /// keep-alive would cost it a new connection each time.
    pub idle_timeout: Duration,
    /// From the first byte of a request to the end of its head (INP-02).
    pub header_timeout: Duration,
    /// For the header of a proxy, and for a TLS handshake.
    pub handshake_timeout: Duration,
    /// After the stop signal a kept connection is closed when it was silent for so long.
    pub drain_quiet: Duration,
    /// How long accepted requests may take after the stop signal.
    pub drain_timeout: Duration,
    pub render_rejection: RenderRejection,
}

impl ListenerConfig {
    pub const fn new(
        limits: ConnectionLimits,
        render_rejection: RenderRejection,
        drain_timeout: Duration,
    ) -> Self {
        Self {
            limits,
            idle_timeout: Duration::from_secs(75),
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            drain_quiet: Duration::from_secs(1),
            drain_timeout,
            render_rejection,
        }
    }
}
