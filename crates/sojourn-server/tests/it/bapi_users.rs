//! Accounts, through the Backend API.

use serde_json::{Value, json};
use sojourn_testkit::{PASSWORD, TestApp, WRONG_PASSWORD, minutes};

#[tokio::test]
async fn a_created_user_signs_in_with_the_given_password() {
    let app = TestApp::new().start().await;
    let made = app.backend().post("/v1/users", json!({
        "email_address": ["Ada@Example.com", "ada@work.example"], "password": PASSWORD,
        "first_name": "Ada", "last_name": "Lovelace", "external_id": "e1",
        "public_metadata": {"plan": "pro"}, "private_metadata": {"secret": 1}, "unsafe_metadata": {"theme": "dark"},
        "created_at": "2020-02-03T04:05:06+01:00",
    })).await;
    made.assert_ok();
    let user = made.json();
    assert_eq!(user["created_at"], 1_580_699_106_000_i64);
    assert_eq!(user["email_addresses"][0]["email_address"], "ada@example.com");
    assert_eq!(user["email_addresses"][0]["verification"]["object"], "verification_admin");
    assert_eq!(user["private_metadata"], json!({"secret": 1}));
    app.browser().sign_in("ada@work.example", PASSWORD).await.assert_ok();
    let id = user["id"].as_str().expect("an id");
    let read = app.backend().get(&format!("/v1/users/{id}")).await.json();
    assert_eq!(read["external_id"], "e1");
}

#[tokio::test]
async fn what_no_user_can_have_is_refused_and_named() {
    let app = TestApp::new().start().await;
    app.user("taken@example.com").await;
    let rows = [
        (json!({"email_address": ["taken@example.com"]}), "form_identifier_exists", "email_address"),
        (json!({"email_address": ["nonsense"]}), "form_param_format_invalid", "email_address"),
        (json!({"email_address": []}), "form_param_missing", "email_address"),
        (json!({"password": "short"}), "form_password_length_too_short", "password"),
        (json!({"password": null}), "form_param_missing", "password"),
        (json!({"username": "ada"}), "form_param_unknown", "username"),
        (json!({"totp_secret": "x"}), "form_param_unknown", "totp_secret"),
        (json!({"public_metadata": 1}), "form_param_type_invalid", "public_metadata"),
        (json!({"created_at": "yesterday"}), "form_param_format_invalid", "created_at"),
        (json!({"created_at": "2999-01-01T00:00:00Z"}), "form_param_value_invalid", "created_at"),
        (
            json!({"password_digest": "x", "password_hasher": "rot13"}),
            "form_param_value_invalid",
            "password_hasher",
        ),
        (
            json!({"password_digest": "$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "password_hasher": "argon2id"}),
            "form_password_digest_invalid_code",
            "password_digest",
        ),
        (
            json!({"password_digest": "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "password_hasher": "argon2id"}),
            "form_password_digest_invalid_code",
            "password_digest",
        ),
    ];
    for (fields, code, name) in rows {
        let mut body = json!({"email_address": ["new@example.com"], "password": PASSWORD});
        body.as_object_mut().expect("fields").extend(fields.as_object().cloned().expect("fields"));
        let refused = app.backend().post("/v1/users", body).await;
        refused.assert_refused(422, code);
        let meta = &refused.json()["errors"][0]["meta"];
        assert_eq!((&meta["param_name"], &meta["name"]), (&json!(name), &json!(name)));
    }
    let count = app.backend().get("/v1/users/count").await.json();
    assert_eq!(count, json!({"object": "total_count", "total_count": 1}));
}

#[tokio::test]
async fn an_imported_hash_is_as_good_as_the_password() {
    let app = TestApp::new().start().await;
    let digest = app.user("old@example.com").await.password_hash.expect("a hash").0;
    let body = json!({"email_address": ["new@example.com"], "password_digest": digest, "password_hasher": "argon2id"});
    app.backend().post("/v1/users", body).await.assert_ok();
    app.browser().sign_in("new@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn filters_find_whom_they_name_and_never_more() {
    let app = TestApp::new().start().await;
    let alice = app.user("alice@example.com").await.id.to_string();
    let bob = app.user("bob@example.com").await.id.to_string();
    app.change_user("bob@example.com", |user| {
        user.external_id = Some("b-1".to_owned());
        user.banned = true;
    })
    .await;
    let backend = app.backend();
    let rows = [
        (String::new(), 2),
        ("email_address=alice%40example.com&email_address=no%40example.com".to_owned(), 1),
        ("email_address=ALICE%40example.com".to_owned(), 1),
        ("email_address=nonsense".to_owned(), 0),
        (format!("user_id={alice}&user_id=%2B{bob}"), 2),
        ("user_id=user_x".to_owned(), 0),
        ("external_id=b-1".to_owned(), 1),
        ("query=bob".to_owned(), 1),
        ("banned=true".to_owned(), 1),
        ("banned=false".to_owned(), 1),
        ("phone_number=%2B123".to_owned(), 0),
        ("username=bob".to_owned(), 0),
    ];
    for (query, found) in rows {
        let list = backend.get(&format!("/v1/users?{query}")).await.json();
        assert_eq!(list.as_array().map(Vec::len), Some(found), "{query}");
        let count = backend.get(&format!("/v1/users/count?{query}")).await.json();
        assert_eq!(count["total_count"], found, "{query}");
    }
    backend.get("/v1/users?starting_after=x").await.assert_refused(422, "form_param_unknown");
    backend.get("/v1/users?created_at_after=x").await.assert_refused(422, "form_param_type_invalid");
    for query in ["user_id=-user_x", "order_by=-metadata", "limit=501"] {
        backend.get(&format!("/v1/users?{query}")).await.assert_refused(422, "form_param_value_invalid");
    }
    let ordered = backend.get("/v1/users?order_by=%2Bcreated_at&limit=1").await.json();
    let newest = backend.get("/v1/users?order_by=-created_at&limit=1").await.json();
    assert_ne!(ordered[0]["id"], newest[0]["id"]);
}

#[tokio::test]
async fn users_are_filtered_by_times_and_ordered_by_names() {
    let app = TestApp::new().start().await;
    let start = app.clock.now().as_millis();
    for (email, name) in [("zoe@example.com", "Ada"), ("yan@example.com", "bob"), ("xi@example.com", "Cleo")]
    {
        app.user(email).await;
        app.change_user(email, |user| user.first_name = Some(name.to_owned())).await;
        app.clock.advance(minutes(1));
    }
    let zoe = app.signed_in("zoe@example.com").await;
    app.clock.advance(minutes(1));
    zoe.touch(&zoe.session()).await.assert_ok();
    let (backend, active) = (app.backend(), app.clock.now().as_millis());
    let rows = [
        (format!("created_at_after={start}"), "Cleo bob"),
        (format!("created_at_before={start}"), ""),
        (format!("created_at_before={}", start + 60_001), "bob Ada"),
        (format!("last_active_at_since={active}"), "Ada"),
        (format!("last_active_at_after={active}"), ""),
        (format!("last_active_at_before={}", active + 1), "Ada"),
        (format!("last_sign_in_at_before={}", active), "Ada"),
        ("email_address_query=Z".to_owned(), "Ada"),
        ("name_query=B".to_owned(), "bob"),
        ("username_query=b".to_owned(), ""),
        ("phone_number_query=1".to_owned(), ""),
        ("order_by=first_name".to_owned(), "Ada bob Cleo"),
        ("order_by=-first_name".to_owned(), "Cleo bob Ada"),
        ("order_by=%2Bemail_address".to_owned(), "Cleo bob Ada"),
        ("order_by=-last_active_at&limit=1".to_owned(), "Ada"),
        ("order_by=username".to_owned(), "Ada bob Cleo"),
        ("order_by=-phone_number".to_owned(), "Cleo bob Ada"),
    ];
    for (query, expected) in rows {
        let list = backend.get(&format!("/v1/users?{query}")).await.assert_ok().json();
        let names: Vec<&str> =
            list.as_array().expect("a list").iter().filter_map(|user| user["first_name"].as_str()).collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
}

#[tokio::test]
async fn last_active_at_is_what_filters_and_orders_go_by() {
    for app in [TestApp::new().start().await, TestApp::new().on_sqlite().start().await] {
        let backend = app.backend();
        let (zoe, yan) = (app.signed_in("zoe@example.com").await, app.signed_in("yan@example.com").await);
        app.user("never@example.com").await;
        app.clock.advance(minutes(3));
        // Another browser of hers that is idle since.
        app.signed_in("zoe@example.com").await;
        let signed_in = app.clock.now().as_millis();
        app.clock.advance(minutes(3));
        yan.touch(&yan.session()).await.assert_ok();
        app.clock.advance(minutes(3));
        zoe.token(&zoe.session()).await.assert_ok();
        let active = app.clock.now().as_millis();

        let list = backend.get("/v1/users?order_by=-last_active_at").await.json();
        let shown =
            |index: usize| (list[index]["first_name"].as_str(), list[index]["last_active_at"].as_i64());
        let yans = active - i64::try_from(minutes(3).as_millis()).expect("small");
        assert_eq!(shown(0), (Some("Zoe"), Some(active)));
        assert_eq!(shown(1), (Some("Yan"), Some(yans)));
        assert_eq!(shown(2), (Some("Never"), None));
        assert_eq!(list[0]["last_sign_in_at"], signed_in);
        for index in [0, 1] {
            let (id, at) = (&list[index]["id"], shown(index).1.expect("active"));
            let found = async |filter: &str| {
                let path = format!(
                    "/v1/users/count?user_id={}&last_active_at_{filter}",
                    id.as_str().expect("an id")
                );
                backend.get(&path).await.json()["total_count"].as_u64()
            };
            assert_eq!(found(&format!("since={at}")).await, Some(1));
            assert_eq!(found(&format!("after={at}")).await, Some(0));
            assert_eq!(found(&format!("before={at}")).await, Some(0));
            assert_eq!(found(&format!("before={}", at + 1)).await, Some(1));
            let one = backend.get(&format!("/v1/users/{}", id.as_str().expect("an id"))).await.json();
            assert_eq!(one["last_active_at"], at);
        }
        assert_eq!(zoe.get("/v1/me").await.response()["last_active_at"], active);
    }
}

#[tokio::test]
async fn inp_04_a_filter_is_never_a_pattern_or_a_statement() {
    for app in [TestApp::new().start().await, TestApp::new().on_sqlite().start().await] {
        app.user("al_ice@example.com").await;
        app.user("alxice@example.com").await;
        app.change_user("alxice@example.com", |user| user.last_name = Some("50% \\ 'off' \";--".to_owned()))
            .await;
        let backend = app.backend();
        let found = async |name: &str, value: &str| {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let count = backend.get(&format!("/v1/users/count?{name}={value}")).await;
            count.assert_ok().json()["total_count"].as_u64()
        };
        for (value, count) in [
            ("al_ice", 1),
            ("al%ice", 0),
            ("%", 1),
            ("\\", 1),
            ("'off'", 1),
            ("\";--", 1),
            ("' OR '1'='1", 0),
            ("x') OR 1=1 --", 0),
        ] {
            assert_eq!(found("query", value).await, Some(count), "{value}");
        }
        for name in ["external_id", "email_address", "user_id"] {
            assert_eq!(found(name, "' OR '1'='1").await, Some(0), "{name}");
        }
        for order in ["created_at; DROP TABLE users", "(SELECT 1)", "id", "created_at DESC"] {
            let order: String = url::form_urlencoded::byte_serialize(order.as_bytes()).collect();
            let refused = backend.get(&format!("/v1/users?order_by={order}")).await;
            refused.assert_refused(422, "form_param_value_invalid");
        }
    }
}

#[tokio::test]
async fn fields_change_one_by_one_and_null_clears() {
    let app = TestApp::new().start().await;
    let id = app.user("alice@example.com").await.id;
    let user = format!("/v1/users/{id}");
    let backend = app.backend();
    let body = json!({"first_name": "A", "last_name": "B", "external_id": "x", "public_metadata": {"a": {"b": 1}, "c": 2}});
    backend.patch(&user, body).await.assert_ok();
    let changed = backend.patch(&user, json!({"last_name": null, "external_id": ""})).await.json();
    assert_eq!(
        (&changed["first_name"], &changed["last_name"], &changed["external_id"]),
        (&json!("A"), &Value::Null, &Value::Null)
    );
    let merged = backend
        .patch(&format!("{user}/metadata"), json!({"public_metadata": {"a": {"d": 3}, "c": null}}))
        .await;
    assert_eq!(merged.json()["public_metadata"], json!({"a": {"b": 1, "d": 3}}));
    let put = backend
        .request("PUT", &format!("{user}/metadata"))
        .json(&json!({"public_metadata": {"e": 4}}))
        .send()
        .await;
    assert_eq!(put.json()["public_metadata"], json!({"e": 4}));
    backend
        .patch(&user, json!({"primary_email_address_id": "idn_x"}))
        .await
        .assert_refused(422, "form_resource_not_found");
    backend.patch("/v1/users/user_x", json!({})).await.assert_refused(404, "resource_not_found");
    app.user("bob@example.com").await;
    app.change_user("bob@example.com", |user| user.external_id = Some("taken".to_owned())).await;
    let taken = backend.patch(&user, json!({"external_id": "taken"})).await;
    taken.assert_refused(422, "form_identifier_exists");
}

#[tokio::test]
async fn a_new_password_ends_sessions_only_when_asked_to() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let user = format!("/v1/users/{}", app.user("alice@example.com").await.id);
    let backend = app.backend();
    backend.patch(&user, json!({"password": "the first new one"})).await.assert_ok();
    alice.token(&alice.session()).await.assert_ok();
    backend
        .patch(&user, json!({"sign_out_of_other_sessions": true}))
        .await
        .assert_refused(422, "form_param_missing");
    let body = json!({"password": "the second new one", "sign_out_of_other_sessions": true});
    backend.patch(&user, body).await.assert_ok();
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
}

#[tokio::test]
async fn a_ban_ends_every_session_and_lets_nobody_in() {
    let app = TestApp::new().multi_session().start().await;
    let laptop = app.signed_in("alice@example.com").await;
    let phone = app.signed_in("alice@example.com").await;
    app.user("bob@example.com").await;
    phone.sign_in("bob@example.com", PASSWORD).await.assert_ok();
    let user = format!("/v1/users/{}", app.user("alice@example.com").await.id);
    let banned = app.backend().post(&format!("{user}/ban"), json!({})).await;
    assert_eq!(banned.json()["banned"], true);
    laptop.token(&laptop.session()).await.assert_refused(401, "authentication_invalid");
    let left = phone.client().await.session_ids();
    assert_eq!(left.len(), 1, "bob's session goes on");
    app.browser().sign_in("alice@example.com", PASSWORD).await.assert_refused(403, "user_banned");
    app.backend().post(&format!("{user}/unban"), json!({})).await.assert_ok();
    app.browser().sign_in("alice@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn a_lock_keeps_sessions_and_lets_nobody_in_until_it_is_lifted() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let user = format!("/v1/users/{}", app.user("alice@example.com").await.id);
    let locked = app.backend().post(&format!("{user}/lock"), json!({})).await.json();
    assert_eq!((&locked["locked"], &locked["lockout_expires_in_seconds"]), (&json!(true), &json!(3600)));
    alice.token(&alice.session()).await.assert_ok();
    app.browser().sign_in("alice@example.com", PASSWORD).await.assert_refused(403, "user_locked");
    app.backend().post(&format!("{user}/unlock"), json!({})).await.assert_ok();
    app.browser().sign_in("alice@example.com", PASSWORD).await.assert_ok();
}

#[tokio::test]
async fn checking_a_password_for_the_application_locks_nobody_out() {
    let app = TestApp::new().start().await;
    let user = format!("/v1/users/{}", app.user("alice@example.com").await.id);
    let verify = format!("{user}/verify_password");
    let backend = app.backend();
    for _ in 0..11 {
        let wrong = backend.post(&verify, json!({"password": WRONG_PASSWORD})).await;
        wrong.assert_refused(422, "incorrect_password");
    }
    assert_eq!(backend.post(&verify, json!({"password": PASSWORD})).await.json(), json!({"verified": true}));
    let removed = backend.request("POST", &format!("{user}/remove_password")).send().await;
    assert_eq!(removed.json()["password_enabled"], false);
    backend.post(&verify, json!({"password": PASSWORD})).await.assert_refused(400, "no_password_set");
    let again = backend.post(&format!("{user}/remove_password"), json!({})).await;
    again.assert_refused(400, "no_password_set");
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_all_sessions() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.change_user("alice@example.com", |user| user.external_id = Some("a-1".to_owned())).await;
    let id = app.user("alice@example.com").await.id;
    let deleted = app.backend().delete(&format!("/v1/users/{id}")).await;
    assert_eq!(deleted.json(), json!({"object": "user", "id": id, "deleted": true, "external_id": "a-1"}));
    alice.token(&alice.session()).await.assert_refused(401, "authentication_invalid");
    let session = app.backend().get(&format!("/v1/sessions/{}", alice.session())).await.json();
    assert_eq!(session["status"], "revoked");
    app.backend().delete(&format!("/v1/users/{id}")).await.assert_refused(404, "resource_not_found");
}
