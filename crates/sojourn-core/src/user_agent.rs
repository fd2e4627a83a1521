//! What browsers say of themselves.

/// What a `User-Agent` header says, as far as people need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Browser<'a> {
    /// Its name.
    pub name: Option<&'static str>,
    /// Its version.
    pub version: Option<&'a str>,
    /// The system or kind of device that it runs on.
    pub system: Option<&'static str>,
    /// Whether it is on a phone or tablet.
    pub is_mobile: bool,
}

/// The browser behind a `User-Agent` header.
pub fn describe(user_agent: &str) -> Browser<'_> {
    // In this order: most browsers also claim to be the ones below them.
    const NAMES: [(&str, &str); 6] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Macintosh", "Macintosh"),
        ("Linux", "Linux"),
    ];
    let found =
        NAMES.iter().find_map(|(mark, name)| user_agent.split_once(mark).map(|(_, rest)| (*name, rest)));
    let system = SYSTEMS.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    Browser {
        name: found.map(|(name, _)| name),
        version: found.map(|(_, rest)| rest.split([' ', ';', ')']).next().unwrap_or("")),
        system,
        is_mobile: user_agent.contains("Mobile"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_claims_to_be_others_is_told_by_its_own_name() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.1";
        let browser = describe(edge);
        assert_eq!((browser.name, browser.version), (Some("Edge"), Some("140.0.1")));
        assert_eq!((browser.system, browser.is_mobile), (Some("Windows"), false));
        assert_eq!(describe("curl/8"), Browser { name: None, version: None, system: None, is_mobile: false });
    }
}
