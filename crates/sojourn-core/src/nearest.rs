//! Suggestions for misspelt names.

/// The name that is most similar to a misspelt one, if one is similar enough.
///
/// A misspelt table (`sesion_settings`) returns the table, a misspelt leaf the whole path, and a
/// leaf without its table (`verify_at_sign_up`) its full path.
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
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        let paths = [
            "port",
            "public_url",
            "auth_email.verify_at_sign_up",
            "session_settings.activity",
            "session_settings.multi_session_enabled",
        ];
        let cases = [
            ("prot", Some("port")),
            ("publc_url", Some("public_url")),
            ("verify_at_sign_up", Some("auth_email.verify_at_sign_up")),
            ("sesion_settings", Some("session_settings")),
            ("session_settings.multi_session_enable", Some("session_settings.multi_session_enabled")),
            ("completely_else", None),
        ];
        for (wrong, meant) in cases {
            assert_eq!(nearest(wrong, paths).as_deref(), meant, "{wrong}");
        }
    }
}
