//! `sojourn doctor`: checks of a setup from outside the server, each with what to do next.

mod database;
mod files;
mod listeners;
mod mail;
mod public;
mod server;

use std::net::SocketAddr;

use serde::Serialize;

use crate::config::Config;
use crate::failure::Failure;
use crate::server_file::ServerFile;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// It works, and will hurt in some case that the message names.
    Warning,
    Failed,
    /// There was no way to find out; the message says why.
    Skipped,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in two words at most.
    pub name: &'static str,
    pub status: Status,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    fn new(name: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self { name, status, message: message.into(), detail: None, hint: None }
    }

    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message)
    }

    fn warning(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Warning, message)
    }

    fn failed(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Failed, message)
    }

    fn skipped(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Skipped, message)
    }

    fn of_failure(name: &'static str, failure: Failure) -> Self {
        Self { name, status: Status::Failed, message: failure.what, detail: failure.why, hint: failure.next }
    }

    fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn next(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// How to look.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Send nothing to other machines: no DNS, no request to the public address, no mail server.
    pub offline: bool,
    /// The certificate of an authority that this machine does not trust, in PEM form.
    pub authority: Option<Vec<u8>>,
    /// Where to connect for the public host, in place of the address in DNS and port 443.
    pub connect_to: Option<SocketAddr>,
}

/// Runs all checks that the configuration calls for, in the order in which a request meets the parts.
pub async fn examine(config: &Config, options: &Options) -> Vec<Check> {
    let mut checks = vec![configuration(config)];
    checks.extend(files::check(config));
    checks.extend(database::check(config).await);
    let running = ServerFile::read(&config.data);
    checks.extend(listeners::check(config, matches!(running, Ok(Some(_)))).await);
    let server = match running {
        Ok(Some(file)) => match server::check(&file, &mut checks).await {
            true => Some(file),
            false => None,
        },
        Ok(None) => {
            checks.push(
                Check::failed("server", "no server runs on this data folder")
                    .because(format!("{} has no server.json", config.data.display()))
                    .next("start it (sojourn serve) and run this again: the rest of the way is checked then"),
            );
            None
        }
        Err(failure) => {
            checks.push(Check::of_failure("server", failure));
            None
        }
    };
    if config.is_production() {
        checks.extend(public::check(config, options, server.as_ref()).await);
    }
    checks.push(mail::check(config, options).await);
    checks
}

fn configuration(config: &Config) -> Check {
    let file = config.file.as_deref().map_or("no file".to_owned(), crate::database::shown);
    let kind = if config.is_production() { "production" } else { "development" };
    let url =
        config.public_url.as_ref().map(|url| format!(" at {}", url.value.origin().ascii_serialization()));
    Check::ok("configuration", format!("{file}: a {kind} instance{}", url.unwrap_or_default()))
}

/// The report for people: a line for each check, and below it what to do.
pub fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        let mark = match check.status {
            Status::Ok => "ok  ",
            Status::Warning => "WARN",
            Status::Failed => "FAIL",
            Status::Skipped => "--  ",
        };
        lines.push(format!("{mark}  {:<width$}  {}", check.name, check.message));
        let indent = " ".repeat(width + 8);
        lines.extend(check.detail.iter().flat_map(|text| text.lines()).map(|line| format!("{indent}{line}")));
        for (index, line) in check.hint.iter().flat_map(|text| text.lines()).enumerate() {
            let label = if index == 0 { "try: " } else { "     " };
            lines.push(format!("{indent}{label}{line}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_and_why_and_what_to_do() {
        let checks = [
            Check::ok("DNS", "clerk.example.com is 192.0.2.1"),
            Check::failed("certificate", "no TLS connection to clerk.example.com")
                .because("the certificate expired")
                .next("renew it\nand reload the proxy"),
            Check::skipped("proxy", "no server answers"),
        ];
        insta::assert_snapshot!(text(&checks), @"
        ok    DNS          clerk.example.com is 192.0.2.1
        FAIL  certificate  no TLS connection to clerk.example.com
                           the certificate expired
                           try: renew it
                                and reload the proxy
        --    proxy        no server answers
        ");
    }
}
