//! Every key there is: its path, what its value looks like, and who may change it.
//!
//! The configuration file, the environment, `settings get` and `settings set` share this
//! one table, so a key cannot exist in one of them and be unknown to another.

/// The shape of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Switch,
    Port,
    /// A whole number, at least 1.
    Count,
    /// Whole seconds, or a duration such as `90s`, `30m`, `12h`, `7d`.
    Seconds,
    /// A list of texts; in the environment separated by commas.
    Texts,
    /// An object of one's own making; in the environment written as JSON.
    Object,
}

impl Kind {
    /// How to write such a value, for error messages.
    pub fn example(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Switch => "true or false",
            Self::Port => "a port number from 0 to 65535",
            Self::Count => "a whole number of at least 1",
            Self::Seconds => "whole seconds, or a duration such as 90s, 30m, 12h or 7d",
            Self::Texts => "a list such as [\"https://app.example.com\"]",
            Self::Object => {
                "an object: { fullName = \"{{user.full_name}}\" } in a file, \
                 {\"fullName\":\"{{user.full_name}}\"} elsewhere"
            }
        }
    }
}

/// The document of the settings API that carries a key at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    SessionSettings,
    SessionToken,
    Instance,
}

impl Document {
    pub const ALL: [Self; 3] = [Self::SessionSettings, Self::SessionToken, Self::Instance];

    pub fn path(self) -> &'static str {
        match self {
            Self::SessionSettings => "/v1/instance/session_settings",
            Self::SessionToken => "/v1/instance/session_token",
            Self::Instance => "/v1/instance/settings",
        }
    }

    /// The part of a key's path that the document's address already says.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::SessionSettings => "session_settings.",
            Self::SessionToken => "session.",
            Self::Instance => "",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub path: &'static str,
    pub kind: Kind,
    /// None: fixed while the server runs.
    pub document: Option<Document>,
}

const fn fixed(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, document: None }
}

const fn changeable(path: &'static str, kind: Kind, document: Document) -> Key {
    Key { path, kind, document: Some(document) }
}

pub const KEYS: &[Key] = &[
    fixed("port", Kind::Port),
    fixed("data", Kind::Text),
    fixed("database", Kind::Text),
    fixed("master_key", Kind::Text),
    fixed("master_key_file", Kind::Text),
    fixed("public_url", Kind::Text),
    fixed("log_format", Kind::Text),
    fixed("environment", Kind::Text),
    fixed("expose_development", Kind::Switch),
    fixed("rate_limits.enabled", Kind::Switch),
    fixed("connections.per_address", Kind::Count),
    fixed("connections.total", Kind::Count),
    fixed("allowed_origins.list", Kind::Texts),
    fixed("allowed_origins.loopback", Kind::Switch),
    changeable("application_name", Kind::Text, Document::Instance),
    changeable("auth_email.verify_at_sign_up", Kind::Switch, Document::Instance),
    changeable("auth_attack_protection.enumeration_protection", Kind::Text, Document::Instance),
    changeable("paths.home_url", Kind::Text, Document::Instance),
    changeable("session_settings.inactivity_timeout.enabled", Kind::Switch, Document::SessionSettings),
    changeable(
        "session_settings.inactivity_timeout.duration_seconds",
        Kind::Seconds,
        Document::SessionSettings,
    ),
    changeable("session_settings.maximum_lifetime.enabled", Kind::Switch, Document::SessionSettings),
    changeable(
        "session_settings.maximum_lifetime.duration_seconds",
        Kind::Seconds,
        Document::SessionSettings,
    ),
    changeable("session_settings.multi_session_enabled", Kind::Switch, Document::SessionSettings),
    changeable("session_settings.activity", Kind::Text, Document::SessionSettings),
    changeable("session_settings.ended_sessions_kept_seconds", Kind::Seconds, Document::SessionSettings),
    changeable("session.claims", Kind::Object, Document::SessionToken),
    changeable("session.lifetime", Kind::Seconds, Document::SessionToken),
    changeable("session.allowed_clock_skew", Kind::Seconds, Document::SessionToken),
];

pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether `path` is a table on the way to a key.
pub fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The name closest to a mistyped one, if any is close enough to be meant.
///
/// A misspelt table (`sesion_settings`) is answered with the table, a misspelt leaf with the
/// whole path, and a leaf without its table (`verify_at_sign_up`) with its full path.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(whole) = names.iter().find(|name| name.ends_with(&format!(".{wrong}"))) {
        return Some((*whole).to_owned());
    }
    let depth = wrong.split('.').count();
    names
        .iter()
        .map(|name| {
            let same_depth: Vec<&str> = name.split('.').take(depth).collect();
            same_depth.join(".")
        })
        .chain(names.iter().map(|name| (*name).to_owned()))
        .map(|name| (strsim::osa_distance(wrong, &name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 4))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_finds_the_one_that_was_meant() {
        let paths = || KEYS.iter().map(|key| key.path);
        let cases = [
            ("prot", Some("port")),
            ("publc_url", Some("public_url")),
            ("verify_at_sign_up", Some("auth_email.verify_at_sign_up")),
            ("sesion_settings", Some("session_settings")),
            ("session_settings.multi_session_enable", Some("session_settings.multi_session_enabled")),
            ("completely_else", None),
        ];
        for (wrong, meant) in cases {
            assert_eq!(nearest(wrong, paths()).as_deref(), meant, "{wrong}");
        }
    }

    #[test]
    fn the_way_to_a_key_is_a_table_and_the_key_is_not() {
        assert!(is_table("session_settings"));
        assert!(is_table("session_settings.maximum_lifetime"));
        assert!(!is_table("port"));
        assert!(!is_table("session_sett"));
    }
}
