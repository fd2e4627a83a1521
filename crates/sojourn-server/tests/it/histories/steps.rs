//! What can happen in a history: each step is asked of the server and done in
//! the model, and both have to agree.

use serde_json::{Value, json};
use sojourn_testkit::minutes;

use super::{ACTS_FOR, History, PAGE, SETTINGS, USERS, roll_document};

impl History {
    pub(super) async fn sign_in(&mut self, browser: usize) {
        let (user, acts) = (self.below(USERS.len()), self.below(6) == 0);
        self.tell(&format!(
            "browser {browser} signs {} in{}",
            USERS[user],
            if acts { " as Sam" } else { "" }
        ));
        let app = self.app().clone();
        let ticket = match acts {
            false => app.ticket(USERS[user], minutes(5)).await,
            true => {
                let body = json!({"user_id": self.users[user], "actor": {"sub": "sam"}, "session_max_duration_in_seconds": ACTS_FOR});
                let token = app.backend().post("/v1/actor_tokens", body).await.assert_ok().json();
                token["token"].as_str().expect("a ticket").to_owned()
            }
        };
        let number = self.numbers[browser];
        self.model.close_overdue(number);
        let expected = self.model.refusal(number, user);
        let answer = self.browser(browser).sign_in_with_ticket(&ticket).await;
        self.agree("a sign-in", &answer.code(), &expected.unwrap_or_default().to_owned(), &answer);
        if expected.is_none() {
            let id = answer.response()["created_session_id"].as_str().expect("a session").to_owned();
            self.model.admit(number, user, id, acts.then_some(ACTS_FOR * 1000));
            self.check_client(&answer, browser);
        }
    }

    pub(super) async fn refresh(&mut self, browser: usize) {
        let hidden = self.below(4) == 0;
        let Some(index) = self.session(browser) else { return };
        let id = self.model.sessions[index].id.clone();
        self.tell(&format!("browser {browser} asks for a token of {id}, hidden: {hidden}"));
        self.model.close_overdue(self.numbers[browser]);
        let expected = self.model.refresh(index, hidden);
        let state = if hidden { "hidden" } else { "focused" };
        let fields = [("organization_id", ""), ("tab_state", state)];
        let answer = self.browser(browser).post(&format!("/v1/client/sessions/{id}/tokens"), &fields).await;
        let found = (answer.status() == 200).then(|| self.app().verified(&answer.jwt())["exp"].as_i64());
        self.agree("a refresh", &found, &expected.map(Some), &answer);
        if found.is_none() {
            answer.assert_refused(401, "authentication_invalid");
            self.check_client(&answer, browser);
        }
    }

    pub(super) async fn touch(&mut self, browser: usize) {
        let Some(index) = self.session(browser) else { return };
        let id = self.model.sessions[index].id.clone();
        self.tell(&format!("browser {browser} touches {id}"));
        self.model.close_overdue(self.numbers[browser]);
        let is_open = self.model.over(index).is_none();
        if is_open {
            self.model.activity(index);
            self.model.choose(index);
        }
        let answer = self.browser(browser).touch(&id).await;
        self.agree("a touch", &answer.status(), &if is_open { 200 } else { 401 }, &answer);
        self.check_client(&answer, browser);
    }

    pub(super) async fn load(&mut self, browser: usize) {
        self.tell(&format!("browser {browser} loads a page"));
        let number = self.numbers[browser];
        self.model.close_overdue(number);
        if let Some(active) = self.model.active(number) {
            self.model.activity(active);
        }
        let answer = self.browser(browser).client().await;
        answer.assert_ok();
        self.check_client(&answer, browser);
    }

    pub(super) async fn read(&mut self, browser: usize) {
        let Some(index) = self.session(browser) else { return };
        let id = self.model.sessions[index].id.clone();
        self.tell(&format!("browser {browser} reads {id}"));
        self.model.close_overdue(self.numbers[browser]);
        let is_open = self.model.over(index).is_none();
        let answer = self.browser(browser).session_object(&id).await;
        self.agree("a read", &answer.status(), &if is_open { 200 } else { 401 }, &answer);
        if is_open {
            self.agree("a status", &answer.response()["status"].clone(), &json!("active"), &answer);
        }
    }

    pub(super) async fn handshake(&mut self, browser: usize) {
        self.tell(&format!("browser {browser} fetches a nonce"));
        let number = self.numbers[browser];
        self.model.close_overdue(number);
        let active = self.model.active(number);
        if let Some(active) = active {
            self.model.activity(active);
        }
        let answer = self.browser(browser).handshake(PAGE).await;
        self.agree("a handshake", &answer.status(), &307, &answer);
        let nonce = answer.set_cookie("__clerk_handshake_nonce").expect("a nonce").to_owned();
        self.nonces.push((nonce, active, self.model.now() + 60_000));
    }

    pub(super) async fn redeem(&mut self) {
        let Some((nonce, session, until)) = self.nonces.pop() else { return };
        self.tell("the application redeems a nonce");
        let path = format!("/v1/clients/handshake_payload?nonce={nonce}");
        let answer = self.app().backend().get(&path).await;
        if self.model.now() >= until {
            answer.assert_refused(404, "resource_not_found");
            return;
        }
        let expected = session.and_then(|index| {
            self.model.close_overdue(self.model.sessions[index].browser);
            self.model.exp(index, 60)
        });
        let lines = answer.assert_ok().json()["directives"].as_array().cloned().unwrap_or_default();
        let value =
            |line: &Value| Some(line.as_str()?.strip_prefix("__session=")?.split(';').next()?.to_owned());
        let jwt = lines.iter().filter_map(value).find(|jwt| !jwt.is_empty());
        let found = jwt.map(|jwt| self.app().verified(&jwt)["exp"].as_i64());
        self.agree("a nonce", &found, &expected.map(Some), &answer);
    }

    pub(super) async fn sign_out(&mut self, browser: usize) {
        let Some(index) = self.session(browser) else { return };
        let id = self.model.sessions[index].id.clone();
        let (path, status) = [("remove", "removed"), ("end", "ended")][self.below(2)];
        self.tell(&format!("browser {browser}: {path} {id}"));
        self.model.close_overdue(self.numbers[browser]);
        let was_open = self.model.end(index, (status, "signed_out", "user"));
        let answer = self.browser(browser).post(&format!("/v1/client/sessions/{id}/{path}"), &[]).await;
        self.agree("a sign-out", &answer.status(), &if was_open { 200 } else { 401 }, &answer);
        if was_open {
            self.agree("a status", &answer.response()["status"].clone(), &json!(status), &answer);
        }
        self.check_client(&answer, browser);
    }

    pub(super) async fn sign_out_all(&mut self, browser: usize) {
        self.tell(&format!("browser {browser} signs out of all"));
        let number = self.numbers[browser];
        self.model.close_overdue(number);
        for index in self.model.open(number) {
            self.model.end(index, ("removed", "signed_out_everywhere", "user"));
        }
        let answer = self.browser(browser).sign_out_all().await;
        answer.assert_ok();
        self.check_client(&answer, browser);
    }

    /// The application's server revokes a session, or asks for a token of it.
    pub(super) async fn backend(&mut self, revokes: bool) {
        let many = self.model.sessions.len();
        if many == 0 {
            return;
        }
        let index = self.below(many);
        let (id, browser) = (self.model.sessions[index].id.clone(), self.model.sessions[index].browser);
        self.tell(&format!("the application: {} {id}", if revokes { "revoke" } else { "token" }));
        if revokes {
            self.model.end(index, ("revoked", "revoked_by_backend", "backend"));
            let answer = self.app().backend().post(&format!("/v1/sessions/{id}/revoke"), json!({})).await;
            let status = self.model.over(index).expect("over").status;
            self.agree("a revocation", &answer.assert_ok().json()["status"].clone(), &json!(status), &answer);
            return;
        }
        self.model.close_overdue(browser);
        let expected = self.model.exp(index, 3600);
        let path = format!("/v1/sessions/{id}/tokens");
        let answer = self.app().backend().post(&path, json!({"expires_in_seconds": 3600})).await;
        let found = (answer.status() == 200).then(|| self.app().verified(&answer.jwt())["exp"].as_i64());
        self.agree("a token", &found, &expected.map(Some), &answer);
    }

    /// A user is banned, or may sign in again.
    pub(super) async fn stand(&mut self) {
        let (user, bans) = (self.below(USERS.len()), self.below(3) == 0);
        let word = if bans { "ban" } else { "unban" };
        self.tell(&format!("the application: {word} {}", USERS[user]));
        self.app()
            .backend()
            .post(&format!("/v1/users/{}/{word}", self.users[user]), json!({}))
            .await
            .assert_ok();
        self.model.banned[user] = bans;
        let of_user = |index: &usize| bans && self.model.sessions[*index].user == user;
        let ended: Vec<usize> = (0..self.model.sessions.len()).filter(of_user).collect();
        for index in ended {
            self.model.end(index, ("revoked", "user_banned", "backend"));
        }
    }

    /// The settings change; the dry run says what then happens.
    pub(super) async fn change(&mut self) {
        let document = roll_document(&mut self.rng, Some(self.model.document));
        self.wait(1).await;
        self.tell(&format!("settings {document:?}"));
        let backend = self.app().backend();
        let dry_run = backend.patch(&format!("{SETTINGS}?dry_run=true"), document.patch()).await;
        let told = &dry_run.assert_ok().json()["would_end"];
        let found =
            (told["now"].as_u64().expect("a number"), told["within_one_hour"].as_u64().expect("a number"));
        self.agree("a dry run", &found, &self.model.would_end(document), &dry_run);
        let answer = backend.patch(SETTINGS, document.patch()).await;
        self.model.change(document);
        let version = answer.assert_ok().json()["version"].as_u64();
        self.agree("a version", &version, &Some(self.model.settings.version), &answer);
    }

    /// Everybody is signed out; the dry run says how many.
    pub(super) async fn end_all(&mut self) {
        self.wait(1).await;
        self.tell("everybody is signed out");
        let (backend, all) = (self.app().backend(), json!({"all": true}));
        let dry_run = backend.post("/v1/sessions/revoke?dry_run=true", all.clone()).await;
        let told = dry_run.assert_ok().json()["would_end"].as_u64();
        self.agree("a dry run", &told, &Some(self.model.open_now()), &dry_run);
        let answer = backend.post("/v1/sessions/revoke", all).await;
        self.model.end_all();
        let version = answer.assert_ok().json()["version"].as_u64();
        self.agree("a version", &version, &Some(self.model.settings.version), &answer);
        self.agree("nobody is left", &self.due().len(), &0, &answer);
    }

    /// Every session has the status it should, and every end its record.
    pub(super) async fn check_ends(&mut self) {
        self.tell("all sessions and ends are looked at");
        let backend = self.app().backend();
        let list = backend.get("/v1/sessions?limit=500").await;
        self.model.pass();
        self.model.sweep();
        let sessions = list.assert_ok().json();
        for (index, held) in self.model.sessions.iter().enumerate() {
            let found =
                sessions.as_array().into_iter().flatten().find(|session| session["id"] == held.id.as_str());
            let status = found.expect("every session is listed")["status"].clone();
            let over = self.model.over(index);
            self.agree("a status", &status, &json!(over.map_or("active", |over| over.status)), &list);
            let record = backend.get(&format!("/v1/sessions/{}/end", held.id)).await;
            let Some(over) = over else {
                record.assert_refused(404, "resource_not_found");
                continue;
            };
            let told = record.assert_ok().json();
            let found = json!([
                told["status"],
                told["reason"],
                told["ended_at"],
                told["deadline_at"],
                told["actor"]["type"],
                // By no version, where somebody acts as a user.
                if held.acts { json!(null) } else { told["settings_version"].clone() },
            ]);
            let version = if held.acts { json!(null) } else { json!(over.version) };
            let expected = json!([over.status, over.reason, over.at, over.deadline, over.by, version]);
            self.agree("an end", &found, &expected, &record);
        }
    }
}
