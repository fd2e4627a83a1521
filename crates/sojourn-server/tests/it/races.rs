//! Several requests at one time, on several threads: what must hold whoever
//! comes first. On both engines.

use std::{future::Future, sync::Arc};

use sojourn_store::{Engine as _, SessionFilter, StoredStatus};
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp, WRONG_PASSWORD, minutes};
use tokio::{sync::Barrier, task::JoinSet};

/// Runs `count` copies of a task that all start at the same moment.
pub async fn at_once<F>(count: usize, task: impl Fn(usize) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for n in 0..count {
        let (start, task) = (start.clone(), task(n));
        tasks.spawn(async move {
            start.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}

pub async fn both_engines<F: Future<Output = ()>>(
    story: impl Fn(TestApp) -> F,
    builder: impl Fn() -> sojourn_testkit::Builder,
) {
    story(builder().start().await).await;
    story(builder().on_sqlite().start().await).await;
}

async fn open_sessions(app: &TestApp) -> usize {
    let filter = SessionFilter { stored: Some(StoredStatus::Open), limit: 1000, ..SessionFilter::default() };
    app.store().sessions(app.server().instance_id(), filter).await.expect("a store that answers").0.len()
}

/// 5xx never, whatever the race.
fn assert_no_fault(answers: &[Answer]) {
    for answer in answers {
        assert!(answer.status() < 500, "{answer}");
    }
}

fn signed_in(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status() == 200).count()
}

/// A browser that the server knows already, so that all its requests carry one cookie.
async fn known_browser(app: &TestApp) -> FakeBrowser {
    let browser = app.browser();
    browser.post("/v1/client/sign_ins", &[]).await.assert_ok();
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_14_parallel_sign_ins_open_one_single_session() {
    let story = async |app: TestApp| {
        for n in 0..16 {
            app.user(&format!("user{n}@example.com")).await;
        }
        let browser = known_browser(&app).await;
        let answers = at_once(16, |n| {
            let browser = browser.clone();
            async move { browser.sign_in_at_once(&format!("user{n}@example.com"), PASSWORD).await }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(
            signed_in(&answers),
            1,
            "{}",
            answers.iter().map(|a| format!("{} {}\n", a.status(), a.code())).collect::<String>()
        );
        assert_eq!(open_sessions(&app).await, 1);
        assert_eq!(browser.client().await.session_ids().len(), 1);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_14_two_tabs_that_began_apart_finish_with_one_session() {
    let story = async |app: TestApp| {
        let browser = known_browser(&app).await;
        let mut attempts = Vec::new();
        for n in 0..8 {
            let email = format!("user{n}@example.com");
            app.user(&email).await;
            let begun = browser.post("/v1/client/sign_ins", &[("identifier", &email)]).await;
            attempts.push(begun.assert_ok().id());
        }
        let answers = at_once(attempts.len(), |n| {
            let (browser, id) = (browser.clone(), attempts[n].clone());
            async move {
                let path = format!("/v1/client/sign_ins/{id}/attempt_first_factor");
                browser.post(&path, &[("strategy", "password"), ("password", PASSWORD)]).await
            }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(signed_in(&answers), 1);
        assert_eq!(open_sessions(&app).await, 1);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_15_parallel_sign_ins_of_one_account_open_one() {
    let story = async |app: TestApp| {
        app.user("alice@example.com").await;
        let browser = known_browser(&app).await;
        let answers = at_once(16, |_| {
            let browser = browser.clone();
            async move { browser.sign_in_at_once("alice@example.com", PASSWORD).await }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(signed_in(&answers), 1);
        assert_eq!(open_sessions(&app).await, 1);
    };
    both_engines(story, || TestApp::new().multi_session()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_17_a_ban_that_races_sign_ins_leaves_no_open_session() {
    let story = async |app: TestApp| {
        for round in 0..6 {
            let email = format!("user{round}@example.com");
            let id = app.user(&email).await.id.to_string();
            let answers = at_once(8, |n| {
                let (app, email, id) = (app.clone(), email.clone(), id.clone());
                async move {
                    match n {
                        3 => app.backend().post(&format!("/v1/users/{id}/ban"), serde_json::json!({})).await,
                        _ => app.browser().sign_in_at_once(&email, PASSWORD).await,
                    }
                }
            })
            .await;
            assert_no_fault(&answers);
            let ban = answers.iter().find(|answer| answer.asked_for("/ban")).expect("asked");
            if ban.status() == 200 {
                assert_eq!(
                    open_sessions(&app).await,
                    0,
                    "who got in before was signed out, who came after was refused"
                );
            } else {
                ban.assert_refused(409, "conflict");
                app.backend().post(&format!("/v1/users/{id}/ban"), serde_json::json!({})).await.assert_ok();
            }
        }
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_10_a_ticket_used_twenty_times_opens_one_session() {
    let story = async |app: TestApp| {
        let ticket = app.ticket("alice@example.com", minutes(5)).await;
        let answers = at_once(20, |_| {
            let (browser, ticket) = (app.browser(), ticket.clone());
            async move { browser.sign_in_with_ticket(&ticket).await }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(
            signed_in(&answers),
            1,
            "{}",
            answers.iter().map(|a| format!("{} {}\n", a.status(), a.code())).collect::<String>()
        );
        for refused in answers.iter().filter(|answer| answer.status() != 200) {
            refused.assert_refused(400, "sign_in_token_already_used_code");
            assert!(refused.set_cookies().is_empty(), "{refused}");
        }
        assert_eq!(open_sessions(&app).await, 1);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_10_an_actor_token_is_either_redeemed_or_revoked() {
    let story = async |app: TestApp| {
        let alice = app.user("alice@example.com").await;
        for _ in 0..5 {
            let body = serde_json::json!({"user_id": alice.id, "actor": {"sub": "user_sam"}});
            let token = app.backend().post("/v1/actor_tokens", body).await.assert_ok().json();
            let text = |name: &str| token[name].as_str().expect("a text").to_owned();
            let (ticket, revoke) = (text("token"), format!("/v1/actor_tokens/{}/revoke", text("id")));
            let before = open_sessions(&app).await;
            let answers = at_once(12, |n| {
                let (app, ticket, revoke) = (app.clone(), ticket.clone(), revoke.clone());
                async move {
                    match n % 4 {
                        0 => app.backend().post(&revoke, serde_json::json!({})).await,
                        _ => app.browser().sign_in_with_ticket(&ticket).await,
                    }
                }
            })
            .await;
            assert_no_fault(&answers);
            assert_eq!(signed_in(&answers), 1, "used once or revoked once");
            let revoked = answers.iter().any(|answer| answer.status() == 200 && answer.asked_for("revoke"));
            assert_eq!(open_sessions(&app).await, before + usize::from(!revoked));
        }
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_08_a_code_answered_by_many_at_once_signs_in_once() {
    let story = async |app: TestApp| {
        app.user("alice@example.com").await;
        let browser = app.browser();
        let begun = browser.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await;
        let attempt = format!("/v1/client/sign_ins/{}", begun.id());
        browser
            .post(&format!("{attempt}/prepare_first_factor"), &[("strategy", "email_code")])
            .await
            .assert_ok();
        let code = app.mailed_code("alice@example.com").await;
        let answers = at_once(16, |_| {
            let (browser, attempt, code) = (browser.clone(), attempt.clone(), code.clone());
            async move {
                browser
                    .post(
                        &format!("{attempt}/attempt_first_factor"),
                        &[("strategy", "email_code"), ("code", &code)],
                    )
                    .await
            }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(signed_in(&answers), 1);
        assert_eq!(open_sessions(&app).await, 1);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_07_no_token_is_issued_after_an_acknowledged_end() {
    let story = async |app: TestApp| {
        for round in 0..8 {
            let alice = app.signed_in(&format!("user{round}@example.com")).await;
            let session = alice.session();
            let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let mut tasks = JoinSet::new();
            for n in 0..16 {
                let (tab, session, ended) = (alice.clone(), session.clone(), ended.clone());
                tasks.spawn(async move {
                    let mut minted = 0;
                    for turn in 0..200 {
                        let was_over = ended.load(std::sync::atomic::Ordering::SeqCst);
                        let answer = match (n + turn) % 3 {
                            0 => tab.touch(&session).await,
                            1 => tab.client().await,
                            _ => tab.token(&session).await,
                        };
                        assert!(answer.status() < 500, "{answer}");
                        let got = answer.text().contains("\"jwt\":\"");
                        assert!(!(was_over && got), "a token after the end: {answer}");
                        minted += usize::from(got);
                        if was_over {
                            break;
                        }
                    }
                    minted
                });
            }
            tokio::task::yield_now().await;
            let out = match round % 2 {
                0 => alice.sign_out(&session).await,
                _ => {
                    app.backend().post(&format!("/v1/sessions/{session}/revoke"), serde_json::json!({})).await
                }
            };
            out.assert_ok();
            ended.store(true, std::sync::atomic::Ordering::SeqCst);
            tasks.join_all().await;
        }
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ses_17_switching_accounts_cannot_delay_a_revocation() {
    let story = async |app: TestApp| {
        app.user("bob@example.com").await;
        for _ in 0..4 {
            let browser = app.signed_in("alice@example.com").await;
            let alice = browser.session();
            let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
            let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let mut tasks = JoinSet::new();
            for n in 0..8 {
                let (tab, alice, bob, done) = (browser.clone(), alice.clone(), bob.clone(), done.clone());
                tasks.spawn(async move {
                    let mut turn = n;
                    while !done.load(std::sync::atomic::Ordering::SeqCst) {
                        turn += 1;
                        tab.touch(if turn % 2 == 0 { &alice } else { &bob }).await;
                    }
                });
            }
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let revoked =
                app.backend().post(&format!("/v1/sessions/{bob}/revoke"), serde_json::json!({})).await;
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            tasks.join_all().await;
            revoked.assert_ok();
            assert!(app.stored_session(&bob).await.closed.is_some());
            browser.sign_out_all().await.assert_ok();
        }
    };
    both_engines(story, || TestApp::new().multi_session()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_04_ten_of_twenty_parallel_passwords_are_checked() {
    let story = async |app: TestApp| {
        app.user("alice@example.com").await;
        let answers = at_once(20, |_| {
            let browser = app.browser();
            async move { browser.sign_in_at_once("alice@example.com", WRONG_PASSWORD).await }
        })
        .await;
        assert_no_fault(&answers);
        let looked_at = answers.iter().filter(|answer| answer.code() == "form_password_incorrect").count();
        assert!(looked_at <= 10, "{looked_at}");
        for answer in &answers {
            assert!(
                matches!(
                    answer.code().as_str(),
                    "form_password_incorrect" | "user_locked" | "conflict" | "too_many_requests"
                ),
                "{answer}"
            );
        }
        while app.browser().sign_in_at_once("alice@example.com", WRONG_PASSWORD).await.code()
            == "form_password_incorrect"
        {}
        app.browser().sign_in_at_once("alice@example.com", PASSWORD).await.assert_refused(403, "user_locked");
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_sign_ups_with_one_address_make_one_account() {
    let story = async |app: TestApp| {
        let answers = at_once(8, |n| {
            let browser = app.browser();
            async move {
                browser
                    .sign_up(if n % 2 == 0 { "carol@example.com" } else { "CAROL@Example.com" }, PASSWORD)
                    .await
            }
        })
        .await;
        assert_no_fault(&answers);
        assert_eq!(signed_in(&answers), 1);
        for refused in answers.iter().filter(|answer| answer.status() != 200) {
            refused.assert_refused(422, "form_identifier_exists");
        }
        let users = app
            .store()
            .users(app.server().instance_id(), sojourn_store::UserFilter { limit: 10, ..Default::default() })
            .await;
        assert_eq!(users.expect("a store that answers").0.len(), 1);
        assert_eq!(open_sessions(&app).await, 1);
    };
    both_engines(story, || TestApp::new().verify_at_sign_up(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_racing_sign_out_ends_just_that_account() {
    let story = async |app: TestApp| {
        app.user("bob@example.com").await;
        for _ in 0..6 {
            let browser = app.signed_in("alice@example.com").await;
            let alice = browser.session();
            let bob = browser.sign_in("bob@example.com", PASSWORD).await.session_id();
            browser.client().await.assert_ok();
            let answers = at_once(7, |n| {
                let (tab, alice, bob) = (browser.clone(), alice.clone(), bob.clone());
                async move {
                    match n {
                        0 => tab.sign_out(&bob).await,
                        1..=2 => tab.touch(&bob).await,
                        3..=4 => tab.touch(&alice).await,
                        _ => tab.token(&alice).await,
                    }
                }
            })
            .await;
            assert_no_fault(&answers);
            // Each of the others commits once, so that a bounded number of decisions is enough.
            answers.iter().for_each(|answer| assert_ne!(answer.status(), 409, "{answer}"));
            assert!(app.stored_session(&bob).await.closed.is_some());
            // As if the answer with the new secret came last.
            let url = "http://localhost:4000/".parse().expect("URL");
            if let Some(secret) = answers
                .iter()
                .find(|answer| answer.asked_for("/remove"))
                .and_then(|out| out.set_cookie(browser.client_cookie_name()))
            {
                browser.jar().plant(&url, browser.client_cookie_name(), secret);
            }
            let client = browser.client().await;
            assert_eq!(client.session_ids(), [alice.as_str()]);
            assert_eq!(client.client()["last_active_session_id"], alice.as_str());
            browser.token(&alice).await.assert_ok();
            browser.sign_out_all().await.assert_ok();
        }
    };
    both_engines(story, || TestApp::new().multi_session()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_activity_racing_the_deadline_has_one_outcome() {
    let story = async |app: TestApp| {
        for round in 0..10 {
            let alice = app.signed_in(&format!("user{round}@example.com")).await;
            let session = alice.session();
            app.clock.advance(minutes(10) - std::time::Duration::from_millis(1));
            let clock = app.clock.clone();
            let answers = at_once(16, |n| {
                let (tab, session, clock) = (alice.clone(), session.clone(), clock.clone());
                async move {
                    if n == 7 {
                        clock.advance(std::time::Duration::from_millis(1));
                    }
                    tab.token(&session).await
                }
            })
            .await;
            assert_no_fault(&answers);
            let over = app.stored_session(&session).await.closed.is_some();
            let after = alice.token(&session).await;
            assert_eq!(after.status() == 401, over, "{after}");
            alice.sign_out_all().await.assert_ok();
        }
    };
    both_engines(story, || TestApp::new().only_inactivity(minutes(10))).await;
}
