//! The database: its schema, whether its commits survive, and its clock.

use sojourn_service::Clock as _;
use sojourn_store::{Database, Schema, ServerReport};

use super::Check;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::database::{failed, name, named};

/// The oldest PostgreSQL that the tests run with, as `server_version_num`.
const TESTED: u32 = 150_000;
/// Clocks that differ by more decide the end of a session differently.
const CLOCK_TOLERANCE_MS: u64 = 2_000;

pub(super) async fn check(config: &Config) -> Vec<Check> {
    let database = match named(config, &config.data) {
        Ok(database) => database,
        Err(failure) => return vec![Check::of_failure("database", failure)],
    };
    let mut checks = Vec::new();
    match database.schema().await {
        Ok(schema) => checks.push(of_schema(&database, &schema)),
        Err(error) => return vec![Check::of_failure("database", failed(&database, &error))],
    }
    match database.server_report().await {
        Ok(Some(report)) => checks.extend([of_server(&report), of_clock(&report)]),
        Ok(None) => {}
        Err(error) => checks.push(Check::of_failure("PostgreSQL", failed(&database, &error))),
    }
    checks
}

fn of_schema(database: &Database, schema: &Schema) -> Check {
    let name = name(database);
    let Schema { found, known, .. } = schema;
    match found {
        0 => Check::failed("database", format!("{name} holds no instance yet"))
            .next("sojourn init production, or start the server, which makes it"),
        _ if found < known => {
            Check::warning("database", format!("{name} has schema {found}, this version has {known}"))
                .next("start the new version (it migrates), or sojourn migrate up")
        }
        _ if found > known => {
            Check::failed("database", format!("{name} has schema {found}, this version knows {known}"))
                .because("a newer version migrated it; this one does not serve it")
                .next("use the newer version's program")
        }
        _ => Check::ok("database", format!("{name}, schema {found}")),
    }
}

fn of_server(report: &ServerReport) -> Check {
    let ServerReport { version, version_number, synchronous_commit, max_connections, .. } = report;
    let loses = |what: &str| {
        Check::failed("PostgreSQL", format!("{version} loses acknowledged commits: {what}"))
            .because("a session that was ended would live again after a crash of the database")
            .next("turn it on in postgresql.conf and restart PostgreSQL")
    };
    if report.is_standby {
        return Check::failed("PostgreSQL", format!("{version} is a standby that refuses writes"))
            .next("name the primary; several hosts are possible: postgres://a,b/sojourn");
    }
    match (report.fsync, synchronous_commit.as_str(), report.full_page_writes) {
        (false, ..) => return loses("fsync is off"),
        (_, "off", _) => return loses("synchronous_commit is off"),
        (.., false) => return loses("full_page_writes is off"),
        _ => {}
    }
    if *version_number < TESTED {
        return Check::warning(
            "PostgreSQL",
            format!("{version} is older than what this version is tested with"),
        )
        .next(format!("PostgreSQL {} or newer", TESTED / 10_000));
    }
    Check::ok(
        "PostgreSQL",
        format!("{version}, commits are synchronous ({synchronous_commit}), {max_connections} connections"),
    )
}

fn of_clock(report: &ServerReport) -> Check {
    let here = SystemClock.now();
    let apart = here.as_millis().abs_diff(report.now.as_millis());
    if apart <= CLOCK_TOLERANCE_MS {
        return Check::ok("clock", "as that of the database server");
    }
    Check::failed("clock", format!("this machine and the database server are {} s apart", apart / 1000))
        .because("nodes with different clocks end sessions at different times; tokens are refused as from the future")
        .next("synchronise both by NTP: timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn report() -> ServerReport {
        ServerReport {
            version: "15.8".to_owned(),
            version_number: 150_008,
            now: SystemClock.now(),
            is_standby: false,
            fsync: true,
            synchronous_commit: "on".to_owned(),
            full_page_writes: true,
            max_connections: 100,
        }
    }

    #[test]
    fn a_server_that_loses_commits_fails() {
        assert_eq!(of_server(&report()).status, Status::Ok);
        let off = || "off".to_owned();
        for (broken, word) in [
            (ServerReport { fsync: false, ..report() }, "fsync"),
            (ServerReport { synchronous_commit: off(), ..report() }, "synchronous_commit"),
            (ServerReport { full_page_writes: false, ..report() }, "full_page_writes"),
            (ServerReport { is_standby: true, ..report() }, "standby"),
        ] {
            let check = of_server(&broken);
            assert_eq!(check.status, Status::Failed);
            assert!(check.message.contains(word), "{check:?}");
        }
        let older = ServerReport { version_number: 140_000, ..report() };
        assert_eq!(of_server(&older).status, Status::Warning);
    }

    #[test]
    fn clocks_that_differ_fail() {
        assert_eq!(of_clock(&report()).status, Status::Ok);
        let now = sojourn_core::time::Timestamp::from_millis(report().now.as_millis() - 60_000);
        let check = of_clock(&ServerReport { now, ..report() });
        assert_eq!(check.status, Status::Failed);
        assert!(check.message.contains("60 s") || check.message.contains("59 s"), "{check:?}");
    }

    #[test]
    fn each_state_of_a_schema_has_its_outcome() {
        let database = Database::File("/data/sojourn.db".into());
        let outcome = |found| of_schema(&database, &Schema { found, known: 3, copies: Vec::new() }).status;
        assert_eq!([0, 2, 3, 4].map(outcome), [Status::Failed, Status::Warning, Status::Ok, Status::Failed]);
    }
}
