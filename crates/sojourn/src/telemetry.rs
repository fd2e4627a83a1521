//! Logs: to stderr, filtered by `RUST_LOG`.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use crate::output;

/// Call it once, before anything is logged.
pub fn start(format: LogFormat) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = filter(&wanted).unwrap_or_else(|error| {
        output::note(&format!(
            "RUST_LOG is not understood ({error}): logging at info\n  \
             try: RUST_LOG=debug, or RUST_LOG=sojourn_server=debug,info"
        ));
        default_filter()
    });
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(logs.with_ansi(output::colour_on_stderr())).init(),
        LogFormat::Json => registry.with(logs.json()).init(),
    }
}

/// Parses `target=level,target=level,level`. Filters on span fields are not supported: they would
/// require a regular expression engine.
fn filter(wanted: &str) -> Result<Targets, tracing_subscriber::filter::ParseError> {
    if wanted.trim().is_empty() {
        return Ok(default_filter());
    }
    Ok(without_statements(wanted.parse()?))
}

fn default_filter() -> Targets {
    without_statements(Targets::new().with_default(LevelFilter::INFO))
}

/// Below the level WARN tokio-postgres logs statement parameters, which contain names and secrets
/// (LOG-01).
fn without_statements(filter: Targets) -> Targets {
    filter.with_target("tokio_postgres", LevelFilter::WARN)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn rust_log_sets_levels_by_target() {
        let targets = filter("sojourn_server=debug,info").expect("understood");
        assert!(targets.would_enable("sojourn_server::middleware", &Level::DEBUG));
        assert!(targets.would_enable("sojourn_store", &Level::INFO));
        assert!(!targets.would_enable("sojourn_store", &Level::DEBUG));
    }

    #[test]
    fn without_rust_log_the_level_is_info() {
        let targets = filter("").expect("understood");
        assert!(targets.would_enable("sojourn", &Level::INFO));
        assert!(!targets.would_enable("sojourn", &Level::DEBUG));
    }

    #[test]
    fn no_level_shows_the_parameters_of_statements() {
        let targets = filter("trace,tokio_postgres=trace").expect("understood");
        assert!(!targets.would_enable("tokio_postgres::query", &Level::DEBUG));
    }

    #[test]
    fn a_filter_that_is_not_understood_is_an_error() {
        assert!(filter("sojourn=loud").is_err());
    }
}
