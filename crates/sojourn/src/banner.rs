//! What `serve` prints when it is ready: one screen for people, or one line for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::env_lines::{self, Access, Stack};
use crate::listening::Addresses;

/// Everything the banner says; nothing in it may be untrue when offline.
#[derive(Debug, Clone)]
pub struct Banner {
    pub access: Access,
    pub pid: u32,
    /// What tells this instance from others: the host in its publishable key.
    pub key_host: String,
    pub ready_in: Duration,
    /// One-time link, or none where the mailbox is switched off.
    pub mailbox_link: Option<String>,
    /// Whether mail is sent, too.
    pub sends_mail: bool,
    /// The database, without its password.
    pub data: String,
    /// Where the master key is from, if other nodes need the same.
    pub shared_key: Option<String>,
    pub config: Option<String>,
    /// Users and sessions found at start; none in a new folder.
    pub existing: Option<(u64, u64)>,
    /// The port that was wanted, if another had to be taken.
    pub busy_port: Option<u16>,
    pub loopback_origins: bool,
    pub missing_bundles: Vec<String>,
    pub exposed: bool,
    /// Where the process listens.
    pub addresses: Addresses,
    /// What is said of a production instance instead of how to try it.
    pub production: Option<Production>,
}

#[derive(Debug, Clone)]
pub struct Production {
    pub proxies: Vec<String>,
    pub origins: Vec<String>,
    /// Whether any application server can have a key.
    pub has_secret_key: bool,
}

const WIDTH: usize = 100;

impl Banner {
    pub fn text(&self) -> String {
        match &self.production {
            Some(production) => self.production_text(production),
            None => self.development_text(),
        }
    }

    fn production_text(&self, production: &Production) -> String {
        let base = &self.access.base_url;
        let all = |addresses: &[std::net::SocketAddr]| {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let mut lines = vec![
            two_columns(
                &format!("sojourn {}  production instance {}", env!("CARGO_PKG_VERSION"), self.key_host),
                &format!("ready in {:.2} s", self.ready_in.as_secs_f64()),
            ),
            String::new(),
            format!("  Account portal   {base}/sign-in"),
            format!("  Frontend API     {base}/v1"),
            match self.access.api_url {
                Some(_) => format!("  Backend API      {}  (there alone)", all(&self.addresses.backend)),
                None => format!("  Backend API      {base}/v1  (the same; a secret key selects it)"),
            },
            format!("  JWKS             {base}/.well-known/jwks.json"),
            format!("  Listens on       {}  (http, for a proxy)", all(&self.addresses.public)),
        ];
        if !self.addresses.tls.is_empty() {
            lines.push(format!("                   {}  (https)", all(&self.addresses.tls)));
        }
        if !self.addresses.admin.is_empty() {
            lines.push(format!(
                "  Health           {}  /health/live, /health/ready, /metrics",
                all(&self.addresses.admin)
            ));
        }
        lines.push(match production.proxies.is_empty() {
            true => "  Proxies          none declared: all clients of a proxy count as one (trusted_proxies)"
                .to_owned(),
            false => format!("  Proxies          {}", production.proxies.join(", ")),
        });
        lines.push(match production.origins.is_empty() {
            true => "  Origins          none but its own pages (allowed_origins.list)".to_owned(),
            false => format!("  Origins          {}", production.origins.join(", ")),
        });
        lines.push(format!("  Database         {}{}", self.data, self.found()));
        if let Some(key) = &self.shared_key {
            lines.push(format!("  Master key       {key}  (every node of this database needs the same)"));
        }
        lines.push(format!(
            "  Config           {}",
            self.config.as_deref().unwrap_or("none (environment and flags)")
        ));
        lines.push(format!("  Publishable key  {}", self.access.publishable_key));
        if !production.has_secret_key {
            lines.push("  Secret key       none yet; make one: sojourn keys create".to_owned());
        }
        if !self.missing_bundles.is_empty() {
            lines.push(format!("  Missing          browser scripts: {}", self.missing_bundles.join(", ")));
        }
        lines.push(
            "  Next             sojourn keys create makes a secret key; sojourn env --for next".to_owned(),
        );
        lines.join("\n")
    }

    fn development_text(&self) -> String {
        let base = &self.access.base_url;
        let mut lines = Vec::new();
        if let Some(port) = self.busy_port {
            lines.push(format!("port {port} is in use: listening on {base} instead"));
        }
        lines.push(two_columns(
            &format!("sojourn {}  development instance {}", env!("CARGO_PKG_VERSION"), self.key_host),
            &format!("ready in {:.2} s", self.ready_in.as_secs_f64()),
        ));
        lines.push(String::new());
        lines.push(format!("  Account portal   {base}/sign-in"));
        lines.push(format!("  Frontend API     {base}/v1"));
        lines.push(format!("  Backend API      {base}/v1  (the same; a secret key selects it)"));
        lines.push(format!("  JWKS             {base}/.well-known/jwks.json"));
        if let Some(link) = &self.mailbox_link {
            lines.push(format!("  Mailbox          {link}"));
            lines.push(match self.sends_mail {
                true => "                   (works once; shows all mail, which is sent, too)".to_owned(),
                false => "                   (works once; all mail stays here, nothing is sent)".to_owned(),
            });
        }
        let data = format!("  Data             {}", self.data);
        if data.chars().count() + self.found().chars().count() <= WIDTH {
            lines.push(data + &self.found());
        } else {
            lines.extend([data, format!("                 {}", self.found())]);
        }
        if let Some(key) = &self.shared_key {
            lines.push(format!("  Master key       {key}  (every node of this database needs the same)"));
        }
        lines.push(format!("  Config           {}", self.config.as_deref().unwrap_or("none (defaults)")));
        lines.push(format!("  Origins          {}", self.origins()));
        lines.push(String::new());
        lines.push(two_columns(
            "  Paste into .env.local of a Next.js app",
            "(other stacks: sojourn env --for express|python|…)",
        ));
        // No indent from here: the lines are meant to be selected and pasted as they are.
        let rule = "-".repeat(WIDTH - 2);
        lines.push(format!("  {rule}"));
        lines.push(env_lines::lines(Stack::Next, &self.access));
        lines.push(format!("  {rule}"));
        if !self.missing_bundles.is_empty() {
            lines.push("  Missing: the browser scripts, so sign-in pages stay empty; for".to_owned());
            lines.extend(self.missing_bundles.iter().map(|name| format!("    {name}")));
            lines.push("  they are built with Node: cargo xtask bundles, then start again".to_owned());
        }
        if !self.exposed {
            lines.push("  Test sign-in: any address with +clerk_test, code 424242".to_owned());
        }
        lines.push(match self.shared_key {
            Some(_) => "  Ctrl-C stops this node; data is kept.".to_owned(),
            None => format!(
                "  Ctrl-C stops; data is kept.  Start over: stop, then delete {}",
                folder_of(&self.data)
            ),
        });
        lines.join("\n")
    }

    /// One event for programs that start the server.
    pub fn json(&self) -> Value {
        let base = &self.access.base_url;
        json!({
            "event": "ready",
            "base_url": base,
            "urls": {
                "portal": format!("{base}/sign-in"),
                "frontend_api": format!("{base}/v1"),
                "backend_api": format!("{base}/v1"),
                "jwks": format!("{base}/.well-known/jwks.json"),
                "mailbox": self.mailbox_link,
            },
            "publishable_key": self.access.publishable_key,
            "secret_key": self.access.secret_key,
            "pid": self.pid,
            "database": self.data,
        })
    }

    /// The one line of `test-server`: exactly these fields.
    pub fn test_json(&self) -> Value {
        json!({
            "event": "ready",
            "base_url": self.access.base_url,
            "publishable_key": self.access.publishable_key,
            "secret_key": self.access.secret_key,
            "pid": self.pid,
        })
    }

    fn found(&self) -> String {
        let count = |n: u64, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        match self.existing {
            Some((users, sessions)) => {
                format!("  (existing data: {}, {})", count(users, "user"), count(sessions, "session"))
            }
            None => "  (new)".to_owned(),
        }
    }

    fn origins(&self) -> &'static str {
        if self.loopback_origins {
            "any page on this machine may call it (allowed_origins.loopback = false ends that)"
        } else {
            "only those of allowed_origins.list"
        }
    }
}

fn folder_of(database: &str) -> &str {
    database.rsplit_once('/').map_or(database, |(folder, _)| folder)
}

/// `left` and, at the right edge of the screen, `right`.
fn two_columns(left: &str, right: &str) -> String {
    let gap = WIDTH.saturating_sub(left.chars().count() + right.chars().count()).max(2);
    format!("{left}{}{right}", " ".repeat(gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Banner {
        Banner {
            access: env_lines::tests::sample(),
            pid: 4242,
            key_host: "clerk.2kX9bvq1.localhost".to_owned(),
            ready_in: Duration::from_millis(312),
            sends_mail: false,
            mailbox_link: Some(format!(
                "http://localhost:4000/mailbox?t={}",
                "abcdefghijklmnopqrstuvwxyz012345"
            )),
            data: "./.sojourn/dev.db".to_owned(),
            shared_key: None,
            config: None,
            existing: Some((1, 5)),
            busy_port: None,
            loopback_origins: true,
            missing_bundles: Vec::new(),
            exposed: false,
            addresses: Addresses::default(),
            production: None,
        }
    }

    #[test]
    fn the_banner_says_where_everything_is() {
        insta::assert_snapshot!(sample().text());
    }

    #[test]
    fn the_longest_banner_fits_one_screen_and_100_columns() {
        let banner = Banner {
            busy_port: Some(4000),
            missing_bundles: vec!["@clerk/clerk-js@6.40.0".to_owned(), "@clerk/ui@1.36.0".to_owned()],
            existing: Some((123_456, 1_234_567)),
            config: Some("./sojourn.toml".to_owned()),
            data: "postgres://localhost:5432/sojourn".to_owned(),
            shared_key: Some("./.sojourn/master.key".to_owned()),
            ..sample()
        };
        let text = banner.text();
        assert!(text.lines().count() <= 39, "{} lines", text.lines().count());
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn production_says_how_it_is_reached_and_shows_no_key() {
        let address = |text: &str| vec![text.parse().expect("an address")];
        let banner = Banner {
            access: env_lines::tests::production(),
            key_host: "clerk.example.com".to_owned(),
            mailbox_link: None,
            data: "/var/lib/sojourn/sojourn.db".to_owned(),
            config: Some("/etc/sojourn/sojourn.toml".to_owned()),
            addresses: Addresses {
                public: address("127.0.0.1:4000"),
                admin: address("127.0.0.1:4002"),
                ..Addresses::default()
            },
            production: Some(Production {
                proxies: vec!["127.0.0.1/32".to_owned(), "::1/128".to_owned()],
                origins: vec!["https://app.example.com".to_owned()],
                has_secret_key: false,
            }),
            ..sample()
        };
        insta::assert_snapshot!(banner.text());
        assert!(!banner.json().to_string().contains("sk_live"), "{}", banner.json());
    }

    #[test]
    fn programs_get_one_line() {
        insta::assert_json_snapshot!(sample().json());
        insta::assert_snapshot!(sample().test_json());
    }
}
