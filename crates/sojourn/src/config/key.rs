//! Every key of the configuration: those of the process, and the settings that can be pinned.

use sojourn_core::settings::{
    Kind, SETTINGS, Setting,
    registry::{self, is_below},
};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    pub path: &'static str,
    pub kind: Kind,
    /// None: of the process, fixed while it runs.
    pub setting: Option<&'static Setting>,
}

const COUNT: Kind = Kind::Integer { least: 1, most: u64::MAX };

/// The keys of the process.
const PROCESS: &[(&str, Kind)] = &[
    ("port", Kind::Integer { least: 0, most: u16::MAX as u64 }),
    ("listen", Kind::Texts),
    ("bapi_listen", Kind::Texts),
    ("admin_listen", Kind::Texts),
    ("trusted_proxies", Kind::Texts),
    ("forwarded_header", Kind::Word(&["x_forwarded", "forwarded"])),
    ("proxy_protocol", Kind::Flag),
    ("data", Kind::Text),
    ("database", Kind::Text),
    ("master_key", Kind::Text),
    ("master_key_file", Kind::Text),
    ("previous_master_key_file", Kind::Text),
    ("public_url", Kind::Text),
    ("log_format", Kind::Word(&["text", "json"])),
    ("environment", Kind::Word(&["development", "production"])),
    ("expose_development", Kind::Flag),
    ("rate_limits.enabled", Kind::Flag),
    ("connections.per_address", COUNT),
    ("connections.total", COUNT),
    ("mail.delivery", Kind::Word(&["mailbox", "smtp"])),
    ("mail.from", Kind::Text),
    ("mail.reply_to", Kind::Text),
    ("mail.templates", Kind::Text),
    ("mail.smtp.host", Kind::Text),
    ("mail.smtp.port", Kind::Integer { least: 1, most: u16::MAX as u64 }),
    ("mail.smtp.encryption", Kind::Word(&["starttls", "tls", "none"])),
    ("mail.smtp.allow_unencrypted", Kind::Flag),
    ("mail.smtp.username", Kind::Text),
    ("mail.smtp.password", Kind::Text),
    ("mail.smtp.password_file", Kind::Text),
    ("mail.smtp.ca_file", Kind::Text),
    ("mail.smtp.timeout_seconds", Kind::Integer { least: 1, most: 300 }),
    ("webhooks.allowed_networks", Kind::Texts),
    ("allowed_origins.list", Kind::Origins { most: 1000 }),
    ("allowed_origins.loopback", Kind::Flag),
    ("tls.listen", Kind::Text),
    ("tls.proxy_protocol", Kind::Flag),
    ("tls.certificate_file", Kind::Text),
    ("tls.key_file", Kind::Text),
    ("tls.minimum_version", Kind::Word(&["1.2", "1.3"])),
    ("tls.acme.enabled", Kind::Flag),
    ("tls.acme.contact", Kind::Text),
    ("tls.acme.directory_url", Kind::Text),
    ("tls.acme.cache_dir", Kind::Text),
    ("tls.acme.ca_file", Kind::Text),
];

fn keys() -> impl Iterator<Item = Key> {
    let process = PROCESS.iter().map(|(path, kind)| Key { path, kind: *kind, setting: None });
    let settings = SETTINGS.iter().filter(|setting| setting.can_be_pinned);
    process.chain(settings.map(|setting| Key {
        path: setting.path,
        kind: setting.kind,
        setting: Some(setting),
    }))
}

pub fn paths() -> impl Iterator<Item = &'static str> {
    keys().map(|key| key.path)
}

pub fn find(path: &str) -> Option<Key> {
    keys().find(|key| key.path == path)
}

/// Whether a path is configuration of the process and no setting of the instance.
pub fn is_of_the_process(path: &str) -> bool {
    registry::find(path).is_none() && PROCESS.iter().any(|(key, _)| *key == path)
}

/// Whether `path` is a table on the way to a key.
pub fn is_table(path: &str) -> bool {
    paths().any(|key| is_below(key, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_key_is_a_table_and_the_key_is_not() {
        assert!(is_table("session_settings"));
        assert!(is_table("session_settings.maximum_lifetime"));
        assert!(!is_table("port"));
        assert!(!is_table("session_sett"));
    }
}
