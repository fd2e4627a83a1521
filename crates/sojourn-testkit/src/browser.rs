//! One browser with one tab: sends what clerk-js sends and keeps what the
//! answers say. Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts

use std::sync::{Arc, Mutex, MutexGuard};

use url::Url;

use crate::{Answer, BASE_URL, Jar, Request, TestApp, request::form};

/// A browser. A clone is another tab: it shares the cookies, not the session
/// that the tab stands on.
#[derive(Debug)]
pub struct FakeBrowser {
    app: TestApp,
    jar: Arc<Mutex<Jar>>,
    page: Url,
    user_agent: &'static str,
    /// The session that this tab shows, as `Clerk.session`.
    session: Mutex<Option<String>>,
}

const CHROME: &str = "Mozilla/5.0 (X11; Linux) Chrome/150.0.0.0";
const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";

impl Clone for FakeBrowser {
    fn clone(&self) -> Self {
        let session = Mutex::new(lock(&self.session).clone());
        Self { app: self.app.clone(), jar: self.jar.clone(), page: self.page.clone(), session, ..*self }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this")
}

impl FakeBrowser {
    pub(crate) fn new(app: TestApp, page: &str) -> Self {
        let page = page.parse().expect("a page's origin");
        Self { app, jar: Arc::default(), page, user_agent: CHROME, session: Mutex::default() }
    }

    /// The same cookies on a page of another origin.
    #[must_use]
    pub fn on_page(&self, origin: &str) -> Self {
        Self { page: origin.parse().expect("a page's origin"), ..self.clone() }
    }

    /// The same cookies in Safari.
    #[must_use]
    pub fn on_safari(&self) -> Self {
        Self { user_agent: SAFARI, ..self.clone() }
    }

    /// The same browser, asking another run of the server.
    #[must_use]
    pub fn moved_to(&self, app: &TestApp) -> Self {
        Self { app: app.clone(), ..self.clone() }
    }

    /// The session that this tab shows.
    ///
    /// # Panics
    /// Nobody signed in here.
    pub fn session(&self) -> String {
        lock(&self.session).clone().expect("somebody is signed in")
    }

    /// The cookies.
    pub fn jar(&self) -> MutexGuard<'_, Jar> {
        lock(&self.jar)
    }

    fn server_url(&self) -> Url {
        self.app.server().base_url().clone()
    }

    /// The value of a cookie that the server would get.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let now = self.app.clock.now();
        self.jar().get(&self.server_url(), name, now).map(|cookie| cookie.value.clone())
    }

    /// The client cookie: `<client id>.<secret>`.
    pub fn client_cookie(&self) -> Option<String> {
        self.cookie(self.client_cookie_name())
    }

    /// What the instance calls its client cookie.
    pub fn client_cookie_name(&self) -> &str {
        &self.app.server().cookie_names().client
    }

    /// `__client_uat` as the application's pages see it.
    ///
    /// # Panics
    /// Both names do not carry the same value.
    pub fn client_uat(&self) -> Option<String> {
        let seen = self.jar().seen_by_scripts(&self.server_url(), self.app.clock.now());
        let value = |name: &str| seen.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let [plain, suffixed] = self.app.server().cookie_names().both("__client_uat");
        assert_eq!(value(&plain), value(&suffixed), "both names carry the same value");
        value(&plain)
    }

    /// A request by script, as clerk-js would send it: only GET and POST, other
    /// methods as `_method`; the tab's session in the query where it belongs.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let mut query = vec![("__clerk_api_version", "2026-08-20"), ("_clerk_js_version", "6.40.0")];
        let session = lock(&self.session).clone();
        if let Some(id) = session.as_deref()
            && !path.starts_with("/v1/client")
            && !path.contains("_clerk_session_id=")
        {
            query.push(("_clerk_session_id", id));
        }
        let overridden = matches!(method, "PATCH" | "PUT" | "DELETE");
        if overridden {
            query.push(("_method", method));
        }
        let and = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{and}{}", form(&query));
        let url = self.server_url().join(path).unwrap_or_else(|_| self.server_url());
        let wire_method = if overridden { "POST" } else { method };
        let mut request = self.app.request(wire_method, &target);
        let own = url.origin() == self.page.origin();
        if !own || wire_method != "GET" {
            request = request.header("origin", &self.page.origin().ascii_serialization());
        }
        let same_site = if own { "same-origin" } else { "same-site" };
        request = request.header("sec-fetch-site", same_site).header("user-agent", self.user_agent);
        if wire_method == "POST" {
            request = request.form(&[]);
        }
        match self.jar().header(&url, Some(&self.page), self.app.clock.now()) {
            Some(cookies) => request.header("cookie", &cookies),
            None => request,
        }
    }

    /// Sends a request of this browser and keeps the cookies of the answer.
    pub async fn send(&self, request: Request) -> Answer {
        let answer = request.send().await;
        self.keep(&answer);
        answer
    }

    fn keep(&self, answer: &Answer) {
        let (url, now) = (self.server_url(), self.app.clock.now());
        let mut jar = self.jar();
        for line in answer.set_cookies() {
            jar.take(&url, line, now);
        }
    }

    /// GET by script.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// POST of a form by script.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.request("POST", path).form(fields)).await
    }

    /// PATCH, PUT or DELETE, as clerk-js sends them.
    pub async fn post_as(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.request(method, path).form(fields)).await
    }

    /// A navigation at the top: no `Origin`, cookies of that site.
    pub async fn navigate(&self, path: &str) -> Answer {
        self.send(self.navigation(path)).await
    }

    /// The request of [`Self::navigate`].
    pub fn navigation(&self, path: &str) -> Request {
        let url = self.server_url().join(path).unwrap_or_else(|_| self.server_url());
        let request = self
            .app
            .request("GET", path)
            .header("user-agent", self.user_agent)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-site")
            .header("accept", "text/html");
        match self.jar().header(&url, None, self.app.clock.now()) {
            Some(cookies) => request.header("cookie", &cookies),
            None => request,
        }
    }

    /// What a page load asks for.
    pub async fn client(&self) -> Answer {
        self.get("/v1/client").await
    }

    /// Signs in as the prebuilt component does: the identifier, then the
    /// password. The tab shows the new session then.
    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let begun = self.post("/v1/client/sign_ins", &[("identifier", email), ("locale", "en-GB")]).await;
        if begun.status() != 200 {
            return begun;
        }
        let path = format!("/v1/client/sign_ins/{}/attempt_first_factor", begun.id());
        let answer = self.post(&path, &[("strategy", "password"), ("password", password)]).await;
        self.show(&answer);
        answer
    }

    /// Signs in by identifier and password in one request.
    pub async fn sign_in_at_once(&self, email: &str, password: &str) -> Answer {
        let fields = [("identifier", email), ("strategy", "password"), ("password", password)];
        let answer = self.post("/v1/client/sign_ins", &fields).await;
        self.show(&answer);
        answer
    }

    /// Signs in by a ticket.
    pub async fn sign_in_with_ticket(&self, ticket: &str) -> Answer {
        let answer = self.post("/v1/client/sign_ins", &[("strategy", "ticket"), ("ticket", ticket)]).await;
        self.show(&answer);
        answer
    }

    /// Begins to sign up; complete at once where no address has to be proved.
    pub async fn sign_up(&self, email: &str, password: &str) -> Answer {
        let answer =
            self.post("/v1/client/sign_ups", &[("email_address", email), ("password", password)]).await;
        self.show(&answer);
        answer
    }

    /// The tab shows the session that an answer led to, if it did.
    pub fn show(&self, answer: &Answer) {
        let body = answer.try_json().unwrap_or_default();
        if let Some(id) = body["response"]["created_session_id"].as_str() {
            *lock(&self.session) = Some(id.to_owned());
        }
    }

    /// The session as the server tells it; no activity.
    pub async fn session_object(&self, session: &str) -> Answer {
        self.get(&format!("/v1/client/sessions/{session}")).await
    }

    /// Makes a session the active one; the tab shows it then.
    pub async fn touch(&self, session: &str) -> Answer {
        let fields = [("active_organization_id", ""), ("intent", "select_session")];
        let answer = self.post(&format!("/v1/client/sessions/{session}/touch"), &fields).await;
        if answer.status() == 200 {
            *lock(&self.session) = Some(session.to_owned());
        }
        answer
    }

    /// Asks for a fresh session token, as an open tab does all the time.
    pub async fn token(&self, session: &str) -> Answer {
        let fields = [("organization_id", ""), ("tab_state", "focused")];
        self.post(&format!("/v1/client/sessions/{session}/tokens"), &fields).await
    }

    /// Signs out of one account: `signOut({sessionId})`.
    pub async fn sign_out(&self, session: &str) -> Answer {
        self.post(&format!("/v1/client/sessions/{session}/remove"), &[]).await
    }

    /// Signs out of all accounts: `signOut()`.
    pub async fn sign_out_all(&self) -> Answer {
        self.post_as("DELETE", "/v1/client/sessions", &[]).await
    }

    /// What an application's server sends the browser to when a token is stale.
    pub async fn handshake(&self, redirect_url: &str) -> Answer {
        let query = form(&[
            ("redirect_url", redirect_url),
            ("__clerk_api_version", "2026-05-12"),
            ("suffixed_cookies", "true"),
            ("__clerk_hs_reason", "session-token-expired"),
            ("format", "nonce"),
        ]);
        self.navigate(&format!("/v1/client/handshake?{query}")).await
    }

    /// Where the server is.
    pub const fn base_url() -> &'static str {
        BASE_URL
    }
}
