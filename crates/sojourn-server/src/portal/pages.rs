//! The portal's pages and the index.

use askama::Template;
use serde_json::json;
use url::Url;

use super::{
    EndedNotice,
    bundles::{CLERK_JS, CLERK_UI, locked_version},
};

/// The data of a portal page.
#[derive(Debug, Clone)]
pub struct PortalPage<'a> {
    /// Shown in titles and in the header.
    pub application_name: &'a str,
    pub publishable_key: &'a str,
    /// The URL of this server as the browser sees it, without a trailing slash:
    /// `http://localhost:4000`.
    pub origin: &'a str,
    /// The target after sign-in without an allowed `redirect_url`: absolute, or a path on this
    /// server.
    pub home_url: &'a str,
    /// The allowed origins of `redirect_url`, besides this server's and the home page's.
    pub allowed_redirect_origins: &'a [String],
    /// Whether the page signs out the current user before it mounts the component.
    pub signs_out_first: bool,
    pub development: bool,
    /// The notice about the end of this browser's last session, if any.
    pub ended: Option<EndedNotice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalView {
    SignIn,
    SignUp,
    User,
}

/// The data of the index page.
#[derive(Debug, Clone)]
pub struct IndexPage<'a> {
    pub application_name: &'a str,
    pub publishable_key: &'a str,
    pub origin: &'a str,
    pub server_version: &'a str,
    pub has_dashboard: bool,
}

/// The page that mounts the official component for this view. Send it with
/// [`portal_headers`](super::portal_headers) of the same nonce.
pub fn render_portal(page: &PortalPage, view: PortalView, nonce: &str) -> Result<String, askama::Error> {
    PortalTemplate {
        page,
        nonce,
        heading: view.heading(),
        clerk_js: format!("/npm/{CLERK_JS}@{}/dist/clerk.browser.js", locked_version(CLERK_JS)),
        clerk_ui: format!("/npm/{CLERK_UI}@{}/dist/ui.browser.js", locked_version(CLERK_UI)),
        settings: json!({
            "view": view.name(),
            "origin": page.origin,
            "homeUrl": page.home_url,
            "allowedRedirectOrigins": redirect_origins(page),
            "signsOutFirst": page.signs_out_first,
        })
        .to_string(),
    }
    .render()
}

/// The page of a development instance at `/`.
pub fn render_index(page: &IndexPage) -> Result<String, askama::Error> {
    IndexTemplate {
        page,
        clerk_js_major: major(locked_version(CLERK_JS)),
        clerk_ui_major: major(locked_version(CLERK_UI)),
    }
    .render()
}

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalTemplate<'a> {
    page: &'a PortalPage<'a>,
    nonce: &'a str,
    heading: &'static str,
    clerk_js: String,
    clerk_ui: String,
    settings: String,
}

#[derive(Template)]
#[template(path = "index.html")]
struct IndexTemplate<'a> {
    page: &'a IndexPage<'a>,
    clerk_js_major: &'static str,
    clerk_ui_major: &'static str,
}

impl PortalView {
    /// The first segment of the path, and the name in portal.js.
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignUp => "sign-up",
            Self::User => "user",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in",
            Self::SignUp => "Sign up",
            Self::User => "Account",
        }
    }
}

/// Compat: clerk-js drops a `redirect_url` to any other origin without an error, and its default
/// list, which ours replaces, allows neither ports nor plain http.
fn redirect_origins(page: &PortalPage) -> Vec<String> {
    let home = Url::parse(page.home_url).map(|url| url.origin().ascii_serialization());
    let mut origins = vec![page.origin.to_owned()];
    for origin in home.into_iter().chain(page.allowed_redirect_origins.iter().cloned()) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

fn major(version: &str) -> &str {
    version.split_once('.').map_or(version, |(major, _)| major)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: PortalPage<'_> = PortalPage {
        application_name: "Acme & <Sons>",
        publishable_key: "pk_live_Y2xlcmsuc29qb3Vybi50ZXN0JA",
        origin: "http://localhost:4000",
        home_url: "http://localhost:3000/home",
        allowed_redirect_origins: &[],
        signs_out_first: false,
        development: true,
        ended: None,
    };

    #[test]
    fn names_given_by_people_cannot_become_markup() {
        let html = render_portal(&PAGE, PortalView::SignIn, "n0nce").unwrap();
        assert!(!html.contains("<Sons>"));
        let html = render_portal(
            &PortalPage { home_url: "\"><script>alert(1)</script>", ..PAGE },
            PortalView::User,
            "n0nce",
        )
        .unwrap();
        assert!(!html.contains("<script>"), "{html}");
    }

    #[test]
    fn every_portal_script_is_our_own_file_with_the_nonce() {
        for view in [PortalView::SignIn, PortalView::SignUp, PortalView::User] {
            let html = render_portal(&PAGE, view, "n0nce").unwrap();
            let scripts: Vec<_> =
                html.split("<script").skip(1).map(|rest| rest.split_once("</script>").unwrap().0).collect();
            assert_eq!(scripts.len(), 3);
            for script in scripts {
                assert!(
                    script.contains("nonce=\"n0nce\"") && script.contains("src=\"/") && script.ends_with('>'),
                    "{script}"
                );
            }
            assert!(!html.contains(" style="), "the policy allows no style attributes");
        }
    }

    #[test]
    fn scripts_are_asked_for_by_exact_version() {
        let html = render_portal(&PAGE, PortalView::SignIn, "n").unwrap();
        assert!(html.contains(&format!("/npm/@clerk/clerk-js@{}/dist/", locked_version(CLERK_JS))));
        assert!(html.contains(&format!("/npm/@clerk/ui@{}/dist/", locked_version(CLERK_UI))));
    }

    #[test]
    fn redirects_may_lead_here_home_and_to_the_origins_named() {
        let named = ["http://localhost:3000".to_owned(), "https://*.example.com".to_owned()];
        let page = PortalPage { allowed_redirect_origins: &named, ..PAGE };
        assert_eq!(
            redirect_origins(&page),
            ["http://localhost:4000", "http://localhost:3000", "https://*.example.com"]
        );
        let page = PortalPage { home_url: "/user", ..PAGE };
        assert_eq!(redirect_origins(&page), ["http://localhost:4000"]);
    }

    #[test]
    fn the_index_gives_the_public_lines_and_no_secret() {
        let html = render_index(&IndexPage {
            application_name: "Acme",
            publishable_key: PAGE.publishable_key,
            origin: PAGE.origin,
            server_version: "0.1.0",
            has_dashboard: false,
        })
        .unwrap();
        assert!(html.contains("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=pk_live_"));
        assert!(!html.contains("sk_"));
        assert!(!html.contains("/dashboard"));
    }
}
