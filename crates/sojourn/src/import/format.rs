//! The formats, and how a file is recognised.

/// A file of one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The export of Clerk's dashboard
    ClerkCsv,
    /// Users as Clerk's Backend API lists them
    ClerkJson,
    /// Auth0: a bulk export, an export of password hashes, or the schema of its bulk import
    Auth0,
    /// firebase auth:export, as JSON or CSV
    Firebase,
    /// The table auth.users of Supabase, as CSV or JSON
    Supabase,
    /// manage.py dumpdata auth.user
    Django,
    /// A realm export of Keycloak with its users
    Keycloak,
    /// The table wp_users of WordPress as CSV
    Wordpress,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    Csv {
        delimiter: u8,
        has_header: bool,
    },
    /// A list, alone or as a member of an object.
    Json,
    /// One object per line.
    JsonLines,
}

impl Format {
    /// The format of a file that begins with `head`; `None` if it is none of the known ones.
    pub fn detect(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let has = |names: &[&str]| names.iter().all(|name| text.contains(&format!("\"{name}\"")));
        if text.starts_with(['{', '[']) {
            return match () {
                () if has(&["localId"]) => Some(Self::Firebase),
                () if has(&["model", "fields"]) => Some(Self::Django),
                () if has(&["realm"]) || has(&["createdTimestamp"]) => Some(Self::Keycloak),
                () if has(&["_id", "passwordHash"]) || has(&["user_id"]) => Some(Self::Auth0),
                () if has(&["custom_password_hash"]) || has(&["password_hash"]) => Some(Self::Auth0),
                () if has(&["raw_user_meta_data"]) || has(&["encrypted_password"]) => Some(Self::Supabase),
                () if has(&["email_addresses"]) => Some(Self::ClerkJson),
                () => None,
            };
        }
        let header = text.lines().next().unwrap_or_default().to_ascii_lowercase();
        let has = |name: &str| header.contains(name);
        match () {
            () if has("primary_email_address") => Some(Self::ClerkCsv),
            () if has("user_login") || has("user_pass") => Some(Self::Wordpress),
            () if has("encrypted_password") || has("raw_user_meta_data") => Some(Self::Supabase),
            // It has no header, and a comma at the end of each line: 28 fields, and an empty one.
            () if header.matches(',').count() >= 28 => Some(Self::Firebase),
            () => None,
        }
    }

    pub(super) fn notation(self, head: &[u8]) -> Notation {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('[') {
            return Notation::Json;
        }
        if text.starts_with('{') {
            // Only an object that is whole at the end of its line can be one of several.
            let first = text.lines().next().unwrap_or_default();
            let is_line = self == Self::Auth0 && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok();
            return if is_line { Notation::JsonLines } else { Notation::Json };
        }
        let writes_csv = matches!(self, Self::ClerkCsv | Self::Firebase | Self::Supabase | Self::Wordpress);
        if !writes_csv {
            return Notation::Json;
        }
        let header = text.lines().next().unwrap_or_default();
        let count = |delimiter: &&u8| header.bytes().filter(|byte| byte == *delimiter).count();
        let delimiter = b",;\t".iter().max_by_key(count).copied().unwrap_or(b',');
        Notation::Csv { delimiter, has_header: self != Self::Firebase }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognised_by_its_beginning() {
        let rows: &[(&str, Option<Format>)] = &[
            ("id,first_name,primary_email_address\r\n", Some(Format::ClerkCsv)),
            ("\u{feff}\"id\",\"primary_email_address\"\n", Some(Format::ClerkCsv)),
            ("ID;user_login;user_pass\n", Some(Format::Wordpress)),
            ("[{\"model\": \"auth.user\", \"pk\": 1, \"fields\": {}}]", Some(Format::Django)),
            ("{\"realm\": \"x\", \"users\": []}", Some(Format::Keycloak)),
            ("{\"users\": [{\"localId\": \"x\"", Some(Format::Firebase)),
            ("{\"user_id\": \"auth0|1\"}\n{}", Some(Format::Auth0)),
            ("name,surname\n", None),
            ("{}", None),
            ("", None),
        ];
        for (head, format) in rows {
            assert_eq!(Format::detect(head.as_bytes()), *format, "{head}");
        }
    }
}
