//! The page of the development mailbox. Send it with
//! [`mailbox_headers`](super::headers::mailbox_headers).

use askama::Template;
use url::form_urlencoded;

/// A mail that was not sent.
#[derive(Debug, Clone)]
pub struct MailboxEntry {
    pub id: String,
    pub to: String,
    pub subject: String,
    pub received_at_ms: i64,
    pub code: Option<String>,
    pub link: Option<String>,
    pub text: String,
    pub html: String,
}

/// The list and, if one is selected, that mail.
///
/// `entries` are the mails that match the filter, in any order; `filter` is the value of `?to=`,
/// which links on the page keep.
pub fn render_mailbox(
    entries: &[MailboxEntry],
    selected: Option<&MailboxEntry>,
    filter: Option<&str>,
    now_ms: i64,
) -> Result<String, askama::Error> {
    let mut newest_first: Vec<_> = entries.iter().collect();
    newest_first.sort_by_key(|mail| std::cmp::Reverse(mail.received_at_ms));
    let filter = filter.unwrap_or_default();
    MailboxTemplate {
        rows: newest_first
            .into_iter()
            .map(|mail| Row {
                mail,
                age: age(now_ms - mail.received_at_ms),
                iso: iso(mail.received_at_ms),
                selected: selected.is_some_and(|selected| selected.id == mail.id),
            })
            .collect(),
        selected,
        selected_iso: selected.map(|mail| iso(mail.received_at_ms)).unwrap_or_default(),
        // Any other scheme (javascript:, data:) would run in a page of this origin.
        link_opens: selected
            .and_then(|mail| mail.link.as_deref())
            .is_some_and(|link| link.starts_with("http://") || link.starts_with("https://")),
        filter,
        query: query(filter),
    }
    .render()
}

/// The page for a browser without the mailbox cookie: the one-time link was used, has expired, or
/// was never opened. `command` prints a new link.
pub fn render_mailbox_locked(command: &str) -> Result<String, askama::Error> {
    LockedTemplate { command }.render()
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxTemplate<'a> {
    rows: Vec<Row<'a>>,
    selected: Option<&'a MailboxEntry>,
    selected_iso: String,
    link_opens: bool,
    filter: &'a str,
    query: String,
}

struct Row<'a> {
    mail: &'a MailboxEntry,
    age: String,
    iso: String,
    selected: bool,
}

#[derive(Template)]
#[template(path = "mailbox_locked.html")]
struct LockedTemplate<'a> {
    command: &'a str,
}

fn query(filter: &str) -> String {
    if filter.is_empty() {
        return String::new();
    }
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair("to", filter).finish();
    format!("?{pair}")
}

fn age(ms: i64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        ..1 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        _ => format!("{} d ago", minutes / 1440),
    }
}

/// `2026-11-24T09:30:00Z`, by Howard Hinnant's days-to-civil algorithm: one format in one place
/// does not justify a date library.
fn iso(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second_of_day / 3600,
        second_of_day / 60 % 60,
        second_of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_421_164_000;

    fn mail(id: &str, minutes_ago: i64) -> MailboxEntry {
        MailboxEntry {
            id: id.into(),
            to: format!("{id}@example.com"),
            subject: format!("Subject of {id}"),
            received_at_ms: NOW - minutes_ago * 60_000,
            code: Some("424242".into()),
            link: None,
            text: "Your code".into(),
            html: "<p style=\"color:red\">Your code</p>".into(),
        }
    }

    #[test]
    fn the_newest_mail_comes_first() {
        let html = render_mailbox(&[mail("old", 90), mail("new", 0)], None, None, NOW).unwrap();
        assert!(html.find("new@example.com").unwrap() < html.find("old@example.com").unwrap());
        assert!(html.contains("just now") && html.contains("1 h ago"));
    }

    #[test]
    fn a_mail_cannot_leave_its_frame() {
        let mut evil = mail("evil", 1);
        evil.html = "\"></iframe><script>alert(1)</script>".into();
        evil.subject = "<img src=x>".into();
        evil.id = "../\"x".into();
        let html = render_mailbox(&[evil.clone()], Some(&evil), None, NOW).unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(!html.contains("<img src=x>"));
        assert!(!html.contains("/mailbox/../"));
        assert!(html.contains("sandbox=\"\""));
    }

    #[test]
    fn only_a_web_link_gets_a_button() {
        let mut entry = mail("a", 1);
        entry.link = Some("javascript:alert(1)".into());
        let html = render_mailbox(&[entry.clone()], Some(&entry), None, NOW).unwrap();
        assert!(!html.contains("Open link"));
        entry.link = Some("http://localhost:4000/sign-in?__clerk_ticket=x".into());
        let html = render_mailbox(&[entry.clone()], Some(&entry), None, NOW).unwrap();
        assert!(html.contains("Open link"));
    }

    #[test]
    fn an_empty_mailbox_says_what_to_do() {
        let html = render_mailbox(&[], None, None, NOW).unwrap();
        assert!(html.contains("No mail yet") && html.contains("+clerk_test"));
        let html = render_mailbox(&[], None, Some("ada+x@example.com"), NOW).unwrap();
        assert!(html.contains("No mail to “ada+x@example.com”"));
    }

    #[test]
    fn links_carry_the_filter_on() {
        let html = render_mailbox(&[mail("a", 1)], None, Some("a&b"), NOW).unwrap();
        assert!(html.contains("/mailbox/a?to=a%26b"), "{html}");
    }

    #[test]
    fn times_are_written_for_machines() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(iso(NOW), "2026-11-23T08:06:04Z");
        assert_eq!(iso(-1000), "1969-12-31T23:59:59Z");
    }
}
