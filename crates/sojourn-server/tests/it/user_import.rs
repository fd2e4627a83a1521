//! Many accounts at once, through the Backend API.

use serde_json::{Value, json};
use sojourn_store::Engine as _;
use sojourn_testkit::{Answer, PASSWORD, TestApp};

use crate::races::{at_once, both_engines};

const MD5: &str = "3cb4e732631f47e6eb961f34554b7cde";
const KEPT_ID: &str = "user_2fFyZGKaMQrtuGTQzmkLYuKXi8X";

fn row(email: &str, external_id: &str) -> Value {
    json!({"user": {"email_address": [email], "external_id": external_id}})
}

async fn import(app: &TestApp, body: Value) -> Value {
    let answer: Answer = app.backend().post("/v1/users/import", body).await;
    answer.assert_ok();
    answer.json()
}

/// The statuses of the rows, and what they were matched by.
fn statuses(answer: &Value) -> Vec<String> {
    let rows = answer["data"].as_array().expect("rows");
    let text = |row: &Value| match row["matched_by"].as_str() {
        Some(by) => format!("exists by {by}"),
        None => row["status"].as_str().expect("a status").to_owned(),
    };
    rows.iter().map(text).collect()
}

async fn count(app: &TestApp) -> Value {
    app.backend().get("/v1/users/count").await.json()["total_count"].clone()
}

#[tokio::test]
async fn a_batch_is_created_once_however_often_it_is_sent() {
    let story = async |app: TestApp| {
        let users: Vec<Value> =
            (0..50).map(|n| row(&format!("user{n}@example.com"), &format!("old-{n}"))).collect();
        let body = json!({"users": users});
        let first = import(&app, body.clone()).await;
        assert_eq!(
            (&first["created"], &first["existing"], &first["refused"]),
            (&json!(50), &json!(0), &json!(0))
        );
        let again = import(&app, body).await;
        assert_eq!(again["existing"], 50);
        assert_eq!(again["data"][7]["id"], first["data"][7]["id"]);
        assert_eq!(again["data"][7]["matched_by"], "external_id");
        assert_eq!(count(&app).await, 50);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_batches_create_each_account_once() {
    let story = async |app: TestApp| {
        let answers = at_once(4, |turn| {
            let backend = app.backend();
            // Overlapping, and in another order each.
            let mut users: Vec<Value> =
                (0..30).map(|n| row(&format!("user{n}@example.com"), &format!("old-{n}"))).collect();
            users.rotate_left(turn * 7);
            async move { backend.post("/v1/users/import", json!({"users": users})).await }
        })
        .await;
        let mut created = 0;
        for answer in &answers {
            answer.assert_ok();
            created += answer.json()["created"].as_u64().expect("a number");
        }
        assert_eq!(created, 30);
        assert_eq!(count(&app).await, 30);
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test]
async fn a_row_finds_the_account_that_it_names() {
    let app = TestApp::new().start().await;
    app.user("there@example.com").await;
    let users = json!([
        row("there@example.com", "e1"),
        row("ada@example.com", "e2"),
        row("ADA@example.com", "e3"),
        row("other@example.com", "e2"),
        row("müller@bücher.example", "e4"),
        row("müller@xn--bcher-kva.example", "e5"),
        {"id": KEPT_ID, "user": {"email_address": ["kept@example.com"]}},
        {"id": KEPT_ID, "user": {"email_address": ["again@example.com"]}},
        {"user": {"email_address": ["ada@example.com", "kept@example.com"]}},
        row("kept@example.com", "e2"),
    ]);
    let answer = import(&app, json!({"users": users})).await;
    assert_eq!(
        statuses(&answer),
        [
            "exists by email_address",
            "created",
            "exists by email_address",
            "exists by external_id",
            "created",
            "exists by email_address",
            "created",
            "exists by id",
            "refused",
            "refused",
        ]
    );
    assert_eq!(answer["data"][6]["id"], KEPT_ID);
    assert_eq!(answer["data"][8]["error"]["code"], "form_identifier_exists");
    app.backend().get(&format!("/v1/users/{KEPT_ID}")).await.assert_ok();
}

#[tokio::test]
async fn a_refused_row_names_its_field_and_stops_no_other() {
    let app = TestApp::new().start().await;
    let user = |fields: Value| {
        let mut user = json!({"email_address": ["ada@example.com"]});
        user.as_object_mut().expect("fields").extend(fields.as_object().cloned().expect("fields"));
        json!({"user": user})
    };
    let refused = [
        (json!({"user": 1}), "users"),
        (json!(1), "users"),
        (json!({"id": "42", "user": {"email_address": ["ada@example.com"]}}), "id"),
        (user(json!({"email_address": []})), "email_address"),
        (user(json!({"email_address": ["x"]})), "email_address"),
        (user(json!({"first_name": "Ada\r\nBcc: eve"})), "first_name"),
        (user(json!({"first_name": "x".repeat(5000)})), "first_name"),
        (user(json!({"username": "ada"})), "username"),
        (user(json!({"nonsense": "ada"})), "nonsense"),
        (user(json!({"password": PASSWORD})), "password"),
        (user(json!({"password_digest": MD5})), "password_hasher"),
        (user(json!({"password_digest": MD5, "password_hasher": "sha256"})), "password_digest"),
        (user(json!({"created_at": "yesterday"})), "created_at"),
        (user(json!({"private_metadata": {"a": "x".repeat(9000)}})), "private_metadata"),
        (
            user(json!({"email_address_identification_status": ["unverified"]})),
            "email_address_identification_status",
        ),
        (user(json!({"email_address_identification_status": []})), ""),
    ];
    let users: Vec<&Value> = refused.iter().map(|(row, _)| row).collect();
    let request = app.backend().request("POST", "/v1/users/import").beyond_the_document();
    let answer = request.json(&json!({"users": users})).send().await;
    answer.assert_ok();
    let answer = answer.json();
    for ((row, name), result) in refused.iter().zip(answer["data"].as_array().expect("rows")) {
        if name.is_empty() {
            assert_eq!(result["status"], "created", "{row}");
        } else {
            assert_eq!(result["error"]["meta"]["param_name"], *name, "{row} {result}");
        }
    }
    assert_eq!(count(&app).await, 1);
    let many: Vec<Value> = (0..501).map(|n| row(&format!("u{n}@example.com"), "x")).collect();
    let refused = app.backend().post("/v1/users/import", json!({"users": many})).await;
    refused.assert_refused(422, "form_param_value_invalid");
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let app = TestApp::new().start().await;
    let users = json!([row("ada@example.com", "e1"), row("ADA@example.com", "e2"), row("x", "e3")]);
    let dry = import(&app, json!({"users": users, "dry_run": true})).await;
    assert_eq!(count(&app).await, 0);
    let real = import(&app, json!({"users": users})).await;
    assert_eq!(statuses(&dry), statuses(&real));
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn an_imported_account_signs_in_as_before() {
    let app = TestApp::new().start().await;
    let users = json!([{"user": {
        "email_address": ["ada@example.com", "countess@example.com", "not-mine@example.com"],
        "email_address_identification_status": ["reserved", "verified", "unverified"],
        "password_digest": MD5, "password_hasher": "md5",
        "created_at": "2020-02-03T04:05:06Z", "first_name": "Ada", "private_metadata": {"plan": 1},
    }}, {"user": {"email_address": ["banned@example.com"], "banned": true, "password_digest": MD5, "password_hasher": "md5"}}]);
    let answer = import(&app, json!({"users": users})).await;
    let id = answer["data"][0]["id"].as_str().expect("an id");
    let user = app.backend().get(&format!("/v1/users/{id}")).await.json();
    let status = |n: usize| user["email_addresses"][n]["verification"]["status"].clone();
    assert_eq!([status(0), status(1), status(2)], ["unverified", "verified", "unverified"]);
    assert_eq!((&user["created_at"], &user["first_name"]), (&json!(1_580_702_706_000_i64), &json!("Ada")));
    let sign_in = async |email: &str| app.browser().sign_in_at_once(email, "correct horse").await;
    sign_in("ada@example.com").await.assert_ok();
    sign_in("countess@example.com").await.assert_ok();
    sign_in("not-mine@example.com").await.assert_refused(422, "form_identifier_not_found");
    assert!(!sign_in("banned@example.com").await.json().to_string().contains("\"active\""));
}

#[tokio::test]
async fn new_accounts_are_events_unless_the_import_says_no() {
    let app = TestApp::new().start().await;
    import(&app, json!({"users": [row("ada@example.com", "e1")]})).await;
    import(&app, json!({"users": [row("bob@example.com", "e2")], "events": false})).await;
    let outbox = app.store().outbox(app.server().instance_id(), None, 1000).await.expect("answered");
    assert_eq!(outbox.iter().filter(|entry| entry.name == "user.created").count(), 1);
}
