//! The mail server: connected to and signed in at, without a mail.

use super::{Check, Options};
use crate::config::Config;
use sojourn_service::mail::Delivery;

pub(super) async fn check(config: &Config, options: &Options) -> Check {
    if !config.mail.is_smtp() {
        return match config.is_production() {
            true => Check::warning("mail", "no mail server is configured")
                .because("nobody gets a code: sign-up, sign-in by code and password reset do not work")
                .next("mail.smtp.host and mail.from (docs/mail.md)"),
            false => Check::ok("mail", "goes to the mailbox of the development instance"),
        };
    }
    let host = config.public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    let smtp = match config.mail.options(host.as_deref().unwrap_or("localhost")) {
        Ok(options) => options.delivery,
        Err(failure) => return Check::of_failure("mail", failure),
    };
    let Some(Delivery::Smtp(smtp)) = smtp else {
        return Check::skipped("mail", "the configuration names no mail server");
    };
    if options.offline {
        return Check::skipped("mail", "not connected to: --offline");
    }
    match smtp.check().await {
        Ok(server) => Check::ok("mail", format!("{server} takes mail from this server"))
            .next("sojourn mail send-test --to you@example.com shows whether it arrives"),
        Err(why) => Check::failed("mail", "the mail server cannot be used")
            .because(why)
            .next("check mail.smtp.host, .port, .encryption, .username and .password_file, and the firewall"),
    }
}
