//! Logs: to stderr, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;
use crate::output;

/// Called once, before anything can log.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // At a finer level it tells the parameters of statements: who, and with what (LOG-01).
    let filter =
        filter.add_directive("tokio_postgres=warn".parse().unwrap_or_else(|_| LevelFilter::WARN.into()));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(output::colour_on_stderr()).init(),
        LogFormat::Json => logs.json().init(),
    }
}
