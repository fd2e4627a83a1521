//! Sample values for each type of setting: tests check that every interface accepts and rejects the
//! same ones.

use serde_json::{Value, json};

use crate::settings::Kind;

/// Values that a setting of a development instance accepts and rejects.
#[derive(Debug)]
pub struct Samples {
    pub good: Vec<Value>,
    pub bad: Vec<Value>,
}

/// Samples for a type of setting, at and outside its bounds.
pub fn samples(kind: Kind) -> Samples {
    let (good, bad) = match kind {
        Kind::Flag | Kind::DevelopmentFlag => {
            (vec![json!(true), json!(false)], vec![json!(1), json!("yes"), json!(null)])
        }
        Kind::Word(words) => {
            let good = words.iter().map(|word| json!(word)).collect();
            (good, vec![json!("guessed"), json!(""), json!(1), json!(null)])
        }
        Kind::Seconds { least, most, .. } | Kind::Integer { least, most } => {
            let mut bad = vec![json!(-1), json!(1.5), json!("soon"), json!(null), json!([least])];
            bad.extend(least.checked_sub(1).map(Value::from));
            bad.extend(most.checked_add(1).map(Value::from));
            (vec![json!(least), json!(most)], bad)
        }
        Kind::Text => (vec![json!("text")], vec![json!(1), json!(null)]),
        Kind::Texts => (vec![json!([]), json!(["a", "b"])], vec![json!([1]), json!("a"), json!(null)]),
        Kind::Line { most } => (
            vec![json!("Acme"), json!("x".repeat(most)), json!("ä".repeat(most))],
            vec![json!(" "), json!("x".repeat(most + 1)), json!("two\nlines"), json!(7), json!(null)],
        ),
        Kind::Address => (
            vec![json!("https://example.com/"), json!("http://localhost:3000/home?x=1"), json!("/user")],
            vec![
                json!("//elsewhere.example"),
                json!("/\\elsewhere.example"),
                json!("javascript:alert(1)"),
                json!("https://user:password@example.com/"),
                json!("home"),
                json!(7),
            ],
        ),
        Kind::EmailAddress => (
            vec![json!("help@example.com")],
            vec![json!("help"), json!("a@b@example.com"), json!(7), json!([])],
        ),
        Kind::Language => (
            vec![json!("en"), json!("pt-br")],
            vec![json!("English"), json!("../de"), json!(""), json!(7), json!(null)],
        ),
        Kind::Origins { most } => (
            vec![json!([]), json!(["https://app.example.com", "http://localhost:3000"])],
            vec![
                json!(["*"]),
                json!(["https://app.example.com/"]),
                json!(["https://APP.example.com"]),
                json!(vec!["https://app.example.com"; most + 1]),
                json!([1]),
                json!(true),
                json!(null),
            ],
        ),
        Kind::Claims => (
            vec![json!({}), json!({"n": "{{user.first_name || 'friend'}}", "deep": [{"x": null}]})],
            vec![
                json!({"sub": 1}),
                json!({"org_id": 1}),
                json!({"a": "{{user.id"}),
                json!({"a": "x".repeat(5000)}),
                json!([1]),
                json!("text"),
            ],
        ),
    };
    Samples { good, bad }
}
