//! What the process counts and measures, for `/metrics`.
//!
//! All metrics are statics of atomics with a closed set of label values: counting takes no lock and
//! allocates nothing. One process serves one instance, so they need no owner. Other crates count;
//! the server renders ([`render`]) and sets the gauges that are looked up only then.

mod metric;
mod requests;
mod stopwatch;

use std::fmt;

use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, encoding::prometheus_text::encode, registry::Registry,
};

pub use self::{
    metric::{Counters, Gauges, Histograms, Inside, Metric},
    requests::{RequestDurations, Requests},
    stopwatch::Stopwatch,
};

/// Upper bounds of the buckets of latencies, in microseconds.
const LATENCY_US: [u64; 14] = [
    50, 250, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$doc])* pub static $name: $type = $value;)+

        /// All of them, in the order of the documentation.
        pub fn all() -> Vec<&'static dyn Metric> {
            vec![$(&$name),+]
        }
    };
}

metrics! {
    /// Requests by route.
    REQUESTS: Requests = Requests::new();
    REQUEST_SECONDS: RequestDurations = RequestDurations(&REQUESTS);
    REQUESTS_IN_FLIGHT: Gauges<1> =
        Gauges::new("sojourn_http_requests_in_flight", "Requests that are being answered.");
    /// One for each open connection, on every address.
    CONNECTIONS: Gauges<1> = Gauges::new("sojourn_open_connections", "Open connections.");
    CONNECTIONS_REFUSED: Counters<1> = Counters::new(
        "sojourn_connections_refused",
        "Connections that were closed at once because of connections.per_address or connections.total.",
    );
    SIGN_INS: Counters<12> = Counters::labelled(
        "sojourn_sign_ins",
        "Answers to sign-ins by factor and outcome. failed: wrong or over; refused: not looked at, because of a limit, a lock or a ban.",
        &["factor", "outcome"],
        [
            &["password", "verified"], &["password", "failed"], &["password", "refused"],
            &["email_code", "verified"], &["email_code", "failed"], &["email_code", "refused"],
            &["reset_password_email_code", "verified"], &["reset_password_email_code", "failed"],
            &["reset_password_email_code", "refused"],
            &["ticket", "verified"], &["ticket", "failed"], &["ticket", "refused"],
        ],
    );
    SESSIONS_STARTED: Counters<2> = Counters::labelled(
        "sojourn_sessions_started",
        "Started sessions, by whether somebody else acts as the user.",
        &["impersonation"],
        [&["false"], &["true"]],
    );
    SESSIONS_ENDED: Counters<13> = Counters::labelled(
        "sojourn_sessions_ended",
        "Recorded ends of sessions, by reason.",
        &["reason"],
        [
            &["signed_out"], &["signed_out_everywhere"], &["revoked_by_backend"], &["revoked_by_admin"],
            &["revoked_by_user"], &["inactivity_timeout"], &["maximum_lifetime"], &["replaced"],
            &["settings_tightened"], &["password_changed"], &["user_banned"], &["user_deleted"],
            &["impersonation_over"],
        ],
    );
    TOKENS: Counters<1> = Counters::new(
        "sojourn_session_tokens_signed",
        "Signed session tokens: refreshes, handshakes, and tokens for backends.",
    );
    SIGNATURES: Histograms<1> =
        Histograms::new("sojourn_signature_seconds", "Time to sign a token, on the thread of its request.");
    PASSWORD_HASHES: Histograms<1> =
        Histograms::new("sojourn_password_hash_seconds", "Time to hash a password, without the wait for a worker.");
    PASSWORDS_WAITING: Gauges<1> =
        Gauges::new("sojourn_passwords_waiting", "Passwords that wait for a worker or are being hashed.");
    PASSWORDS_REFUSED: Counters<1> =
        Counters::new("sojourn_passwords_refused", "Passwords that were refused because the queue was full.");
    STORE_CALLS: Histograms<3> = Histograms::labelled(
        "sojourn_store_call_seconds",
        "Time of calls of the store: commit, read, or maintain (purges, leases, activity).",
        &["call"],
        [&["commit"], &["read"], &["maintain"]],
    );
    COMMITS_REFUSED: Counters<3> = Counters::labelled(
        "sojourn_store_commits_refused",
        "Commits that were not applied: conflict (decided again), taken (an address), failed (the database).",
        &["reason"],
        [&["conflict"], &["taken"], &["failed"]],
    );
    WRITER_QUEUE: Gauges<1> =
        Gauges::new("sojourn_sqlite_writer_queue", "Jobs that wait for the writer of the embedded database, or that it is committing.");
    WRITER_COMMITS: Histograms<1> = Histograms::new(
        "sojourn_sqlite_commit_seconds",
        "Time of a transaction of the embedded database, which has up to 128 change sets, with its fsync.",
    );
    ROW_CACHE: Counters<2> = Counters::labelled(
        "sojourn_row_cache_lookups",
        "Clients that were looked up in the row cache of the embedded database.",
        &["result"],
        [&["hit"], &["miss"]],
    );
    POOL_WAITS: Histograms<1> = Histograms::new(
        "sojourn_postgres_pool_wait_seconds",
        "Time to get a connection from the pool of PostgreSQL connections.",
    );
    MAILS: Gauges<2> = Gauges::labelled(
        "sojourn_mails",
        "Mails by state, in the database: the same on every node. failed: of the last seven days.",
        &["state"],
        [&["queued"], &["failed"]],
    );
    MAIL_ATTEMPTS: Counters<3> = Counters::labelled(
        "sojourn_mail_attempts",
        "Attempts to send a mail: sent, delayed (tried again later), failed (given up).",
        &["outcome"],
        [&["sent"], &["delayed"], &["failed"]],
    );
    WEBHOOKS: Gauges<2> = Gauges::labelled(
        "sojourn_webhook_deliveries",
        "Webhook deliveries by state, in the database: the same on every node. failed: of the last seven days.",
        &["state"],
        [&["queued"], &["failed"]],
    );
    WEBHOOK_ATTEMPTS: Counters<3> = Counters::labelled(
        "sojourn_webhook_attempts",
        "Attempts to deliver a webhook: delivered, delayed (tried again later), failed (given up).",
        &["outcome"],
        [&["delivered"], &["delayed"], &["failed"]],
    );
    SWEEPS: Histograms<1> =
        Histograms::new("sojourn_sweep_seconds", "Time of a pass that closes overdue sessions.");
    SWEPT: Counters<1> =
        Counters::new("sojourn_swept_sessions", "Overdue sessions that the sweeper closed.");
    JOB_FAILURES: Counters<5> = Counters::labelled(
        "sojourn_job_failures",
        "Background jobs that failed and are tried again.",
        &["job"],
        [&["sweep"], &["purge"], &["signing_keys"], &["mail"], &["webhooks"]],
    );
    BUILD_INFO: Gauges<1> =
        Gauges::labelled("sojourn_build_info", "1, with the version.", &["version"], [&[env!("CARGO_PKG_VERSION")]]);
    START_TIME: Gauges<1> = Gauges::new(
        "process_start_time_seconds",
        "Start of the process, in seconds since 1970.",
    );
    RESIDENT_MEMORY: Gauges<1> =
        Gauges::new("process_resident_memory_bytes", "Resident memory. Linux only, else 0.");
    OPEN_FILES: Gauges<1> = Gauges::new("process_open_fds", "Open file descriptors. Linux only, else 0.");
}

/// Asks every metric for its values.
#[derive(Debug)]
struct Everything;

impl Collector for Everything {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        all().into_iter().try_for_each(|metric| metric.encode(&mut encoder))
    }
}

/// The media type of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as Prometheus text.
///
/// # Errors
/// None that can happen: text is written to memory.
pub fn render() -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Everything));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Reads what the operating system knows of this process.
pub fn observe_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(kibibytes);
    RESIDENT_MEMORY.set(0, resident.unwrap_or_default() * 1024);
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    OPEN_FILES.set(0, i64::try_from(files).unwrap_or(i64::MAX));
    BUILD_INFO.set(0, 1);
}

fn kibibytes(text: &str) -> Option<i64> {
    text.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_and_a_help() {
        let mut names: Vec<&str> = all().iter().map(|metric| metric.name()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for metric in all() {
            let ours = metric.name().starts_with("sojourn_") || metric.name().starts_with("process_");
            assert!(ours && metric.help().ends_with('.'), "{}", metric.name());
            // The encoder appends it.
            assert!(!metric.name().ends_with("_total"), "{}", metric.name());
        }
    }

    /// As `docs/metrics.md` has to describe it.
    fn row(metric: &dyn Metric) -> String {
        let suffix = if metric.kind() == "counter" { "_total" } else { "" };
        let labels: Vec<String> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        format!("| `{}{suffix}` | {} | {} | {} |", metric.name(), metric.kind(), labels, metric.help())
    }

    #[test]
    fn the_documentation_lists_every_metric() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let page = std::fs::read_to_string(page).expect("a page");
        let listed: Vec<&str> =
            page.lines().filter(|line| line.starts_with("| `") && line.ends_with(". |")).collect();
        let expected: Vec<String> = all().into_iter().map(row).collect();
        assert_eq!(listed, expected, "docs/metrics.md has to have these rows");
    }

    #[test]
    fn values_are_rendered_with_their_labels() {
        SIGN_INS.inc_labelled(&["password", "failed"]);
        SIGNATURES.observe(0, std::time::Duration::from_micros(700));
        observe_process();
        let text = render().expect("text");
        let has = |line: &str| assert!(text.lines().any(|one| one == line), "{line} in {text}");
        has("# TYPE sojourn_sign_ins_total counter");
        has("sojourn_sign_ins_total{factor=\"password\",outcome=\"failed\"} 1");
        has("sojourn_signature_seconds_bucket{le=\"0.00025\"} 0");
        has("sojourn_signature_seconds_bucket{le=\"0.001\"} 1");
        has("sojourn_signature_seconds_bucket{le=\"+Inf\"} 1");
        has("sojourn_signature_seconds_count 1");
        has("sojourn_signature_seconds_sum 0.0007");
    }
}
