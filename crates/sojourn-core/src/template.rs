//! The template language of custom claims: a JSON object whose strings can contain shortcodes such
//! as `{{ user.first_name || 'friend' }}`.
//!
//! A template can only insert values at listed paths: no recursion, no evaluation, no private
//! metadata (TPL-02). Grammar and test vectors: the vendor's public guide "JWT templates",
//! clerk-docs guides/sessions/jwt-templates.

use serde_json::{Map, Number, Value, json};

use crate::{nearest::nearest, policy::Policy, session::Session, time::Timestamp, user::User};

/// The maximum size of a template as JSON in bytes, before and after rendering.
pub const MAX_BYTES: usize = 4096;
/// The maximum nesting depth of a template.
pub const MAX_DEPTH: usize = 32;

/// Claims that the session token sets itself (TPL-01). `handshake` is reserved because a token with
/// this claim could be accepted as a handshake token.
pub const RESERVED: [&str; 17] = [
    "act",
    "azp",
    "cat",
    "exp",
    "fea",
    "fva",
    "handshake",
    "iat",
    "iss",
    "jti",
    "nbf",
    "o",
    "pla",
    "sid",
    "sts",
    "sub",
    "v",
];

/// Why a JSON object is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The session token sets this claim itself.
    #[error("the claim {0} is reserved")]
    Reserved(String),
    #[error("the template has {0} bytes, {MAX_BYTES} are allowed")]
    TooLarge(usize),
    #[error("the template nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A syntax error in a `{{…}}`.
    #[error(
        "cannot read {{{{{0}}}}}: a path like user.first_name, a 'text', a number, true or false is expected, joined by ||"
    )]
    Syntax(String),
    #[error("a {{{{ has no }}}}")]
    Unclosed,
}

/// The values that the paths of a template refer to.
#[derive(Clone, Debug)]
pub struct Scope {
    root: Value,
}

/// All shortcodes for which [`Scope`] has a value.
pub const SHORTCODES: [&str; 22] = [
    "session.abandon_at",
    "session.actor",
    "session.created_at",
    "session.expire_at",
    "session.id",
    "user.created_at",
    "user.email_verified",
    "user.external_id",
    "user.first_name",
    "user.full_name",
    "user.has_image",
    "user.id",
    "user.image_url",
    "user.last_name",
    "user.last_sign_in_at",
    "user.phone_number_verified",
    "user.primary_email_address",
    "user.public_metadata",
    "user.two_factor_enabled",
    "user.unsafe_metadata",
    "user.updated_at",
    "user.username",
];

/// Shortcodes with members that the application defines: every path below them is valid.
const OPEN: [&str; 3] = ["session.actor", "user.public_metadata", "user.unsafe_metadata"];

/// The vendor's shortcodes for features that Sojourn does not have: null in every token.
/// Compat: clerk-docs guides/sessions/jwt-templates.mdx
const WITHOUT_VALUE: [&str; 7] = [
    "org",
    "org_membership",
    "organization",
    "session.reverification_id",
    "user.organizations",
    "user.primary_phone",
    "user.primary_web3",
];

impl Scope {
    /// The paths that a session token of `user` may name, without a session. Times are seconds,
    /// as in tokens. `user.private_metadata` is not among them.
    pub fn of_user(user: &User) -> Self {
        let primary = user.primary_email();
        Self {
            root: json!({
                "user": {
                    "id": user.id,
                    "first_name": user.first_name,
                    "last_name": user.last_name,
                    "full_name": user.full_name(),
                    "username": null,
                    "image_url": "",
                    "has_image": false,
                    "external_id": user.external_id,
                    "created_at": user.created_at.as_secs(),
                    "updated_at": user.updated_at.as_secs(),
                    "last_sign_in_at": user.last_sign_in_at.map(Timestamp::as_secs),
                    "primary_email_address": primary.map(|address| address.email.as_str()),
                    "email_verified": primary.is_some_and(|address| address.verified_by.is_some()),
                    "phone_number_verified": false,
                    "two_factor_enabled": false,
                    "public_metadata": user.public_metadata,
                    "unsafe_metadata": user.unsafe_metadata,
                },
                "session": {
                    "id": null, "created_at": null, "expire_at": null, "abandon_at": null, "actor": null,
                },
            }),
        }
    }

    /// The values of [`Self::of_user`] and those of the user's session.
    pub fn of_session(user: &User, session: &Session, policy: &Policy) -> Self {
        let mut scope = Self::of_user(user);
        scope.root["session"] = json!({
            "id": session.id,
            "created_at": session.created_at.as_secs(),
            "expire_at": session.expire_at(policy).as_secs(),
            "abandon_at": session.abandon_at(policy).as_secs(),
            "actor": session.impersonation.as_ref().map(|impersonation| &impersonation.actor),
        });
        scope
    }

    /// The value at a dotted path; null if there is none. A path cannot index an array.
    fn lookup(&self, path: &str) -> Value {
        let value = path.split('.').try_fold(&self.root, |value, name| value.as_object()?.get(name));
        value.cloned().unwrap_or(Value::Null)
    }
}

/// Checks a template.
///
/// # Errors
/// The first rule that the template breaks.
pub fn check(claims: &Map<String, Value>) -> Result<(), TemplateError> {
    if let Some(name) = claims.keys().find(|name| is_reserved(name)) {
        return Err(TemplateError::Reserved(name.clone()));
    }
    let bytes = serde_json::to_string(claims).map_or(0, |text| text.len());
    if bytes > MAX_BYTES {
        return Err(TemplateError::TooLarge(bytes));
    }
    claims.values().try_for_each(|value| check_value(value, 1))
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("org_")
}

fn check_value(value: &Value, depth: usize) -> Result<(), TemplateError> {
    if depth > MAX_DEPTH {
        return Err(TemplateError::TooDeep);
    }
    match value {
        Value::String(text) => parse(text).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, depth + 1)),
        Value::Object(map) => map.values().try_for_each(|item| check_value(item, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// A shortcode that is null in every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownShortcode {
    pub path: String,
    /// The most similar valid shortcode.
    pub nearest: Option<String>,
}

/// The unknown shortcodes of a template, without duplicates.
pub fn unknown_shortcodes(template: &Map<String, Value>) -> Vec<UnknownShortcode> {
    let leads_below = |path: &str, table: &str| {
        path.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut unknown: Vec<UnknownShortcode> = Vec::new();
    for path in paths(template) {
        let is_known =
            SHORTCODES.contains(&path.as_str()) || OPEN.iter().any(|open| leads_below(&path, open));
        if is_known || unknown.iter().any(|one| one.path == path) {
            continue;
        }
        let has_no_value = WITHOUT_VALUE.iter().any(|name| path.starts_with(name));
        let beyond = SHORTCODES.into_iter().find(|shortcode| leads_below(&path, shortcode));
        let meant = beyond.map(str::to_owned).or_else(|| nearest(&path, SHORTCODES));
        let meant = meant.filter(|_| !has_no_value);
        // A table alone, such as `user`, is not a valid shortcode.
        let meant = meant.filter(|meant| SHORTCODES.contains(&meant.as_str()));
        unknown.push(UnknownShortcode { path, nearest: meant });
    }
    unknown
}

/// All paths in the strings of a template.
fn paths(template: &Map<String, Value>) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                for piece in parse(text).unwrap_or_default() {
                    let Piece::Expression(operands) = piece else { continue };
                    found.extend(operands.iter().filter_map(|operand| match operand {
                        Operand::Path(path) => Some((*path).to_owned()),
                        Operand::Literal(_) => None,
                    }));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(map) => map.values().for_each(|item| collect(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    template.values().for_each(|value| collect(value, &mut found));
    found
}

/// Renders the claims. A checked template always renders; an unknown path gives null.
pub fn render(template: &Map<String, Value>, scope: &Scope) -> Map<String, Value> {
    template.iter().map(|(name, value)| (name.clone(), render_value(value, scope))).collect()
}

fn render_value(value: &Value, scope: &Scope) -> Value {
    match value {
        Value::String(text) => parse(text).map_or(Value::Null, |pieces| render_text(&pieces, scope)),
        Value::Array(items) => items.iter().map(|item| render_value(item, scope)).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, item)| (name.clone(), render_value(item, scope))).collect()
        }
        other => other.clone(),
    }
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Expression(Vec<Operand<'a>>),
}

#[derive(Debug, PartialEq)]
enum Operand<'a> {
    Path(&'a str),
    Literal(Value),
}

fn parse(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    // The guide's test vectors: surrounding whitespace is removed if anything is substituted.
    let mut rest = if text.contains("{{") { text.trim() } else { text };
    let mut pieces = Vec::new();
    while let Some(start) = rest.find("{{") {
        let end = rest[start..].find("}}").ok_or(TemplateError::Unclosed)? + start;
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        pieces.push(Piece::Expression(parse_expression(&rest[start + 2..end])?));
        rest = &rest[end + 2..];
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn parse_expression(text: &str) -> Result<Vec<Operand<'_>>, TemplateError> {
    let error = || TemplateError::Syntax(text.to_owned());
    split_alternatives(text)
        .into_iter()
        .map(|operand| parse_operand(operand.trim()).ok_or_else(error))
        .collect()
}

/// Splits at `||` outside quotes.
fn split_alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\'' {
            quoted = !quoted;
        } else if !quoted && bytes[at..].starts_with(b"||") {
            parts.push(&text[start..at]);
            at += 2;
            start = at;
            continue;
        }
        at += 1;
    }
    parts.push(&text[start..]);
    parts
}

fn parse_operand(text: &str) -> Option<Operand<'_>> {
    if let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return (!quoted.contains('\'')).then(|| Operand::Literal(quoted.into()));
    }
    match text {
        "true" => return Some(Operand::Literal(true.into())),
        "false" => return Some(Operand::Literal(false.into())),
        _ => {}
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return text.parse::<Number>().ok().map(|number| Operand::Literal(number.into()));
    }
    let is_path = text
        .split('.')
        .all(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-'));
    is_path.then_some(Operand::Path(text))
}

fn render_text(pieces: &[Piece<'_>], scope: &Scope) -> Value {
    match pieces {
        [Piece::Expression(operands)] => evaluate(operands, scope),
        _ => {
            let text: String = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => (*text).to_owned(),
                    Piece::Expression(operands) => match evaluate(operands, scope) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    },
                })
                .collect();
            text.into()
        }
    }
}

/// The first operand that is neither null nor false, otherwise the last one.
fn evaluate(operands: &[Operand<'_>], scope: &Scope) -> Value {
    let mut last = Value::Null;
    for operand in operands {
        last = match operand {
            Operand::Path(path) => scope.lookup(path),
            Operand::Literal(value) => value.clone(),
        };
        if !matches!(last, Value::Null | Value::Bool(false)) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{email::Email, id::UserId, testing::SeededRng, time::Timestamp};

    fn user(first: Option<&str>, last: Option<&str>) -> User {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut user = User::new(UserId::generate(now, &mut SeededRng::new(3)), now);
        user.first_name = first.map(str::to_owned);
        user.last_name = last.map(str::to_owned);
        user
    }

    fn one(template: Value, user: &User) -> Value {
        let mut claims = Map::new();
        claims.insert("x".to_owned(), template);
        check(&claims).expect("a template");
        render(&claims, &Scope::of_user(user)).remove("x").expect("x")
    }

    #[test]
    fn s12_the_vectors_of_the_public_guide_come_out_as_written() {
        let mut john = user(Some("John"), None);
        assert_eq!(one(json!("{{user.first_name}}"), &john), json!("John"));
        assert_eq!(one(json!("{{user.last_name}}"), &john), Value::Null);
        assert_eq!(one(json!("{{user.last_name}} {{user.first_name}}"), &john), json!("null John"));
        assert_eq!(
            one(json!("{{user.last_name}} {{user.first_name}} "), &user(Some("Maria"), Some("Doe"))),
            json!("Doe Maria")
        );
        let metadata = json!({"interests": ["hiking", "knitting"], "addresses": {"Home": "H", "Work": "W"}});
        john.public_metadata = metadata.as_object().cloned().expect("object");
        assert_eq!(one(json!("{{user.public_metadata.interests}}"), &john), json!(["hiking", "knitting"]));
        assert_eq!(one(json!("{{user.public_metadata.addresses.Home}}"), &john), json!("H"));
        assert_eq!(
            one(json!("{{user.full_name || 'Awesome User'}}"), &user(None, None)),
            json!("Awesome User")
        );
        let age = "{{user.public_metadata.age || user.unsafe_metadata.age || 30 }}";
        assert_eq!(one(json!(age), &user(None, None)), json!(30));
        assert_eq!(one(json!("{{user.i_dont_exist}}"), &john), Value::Null);
        assert_eq!(one(json!("{{user.primary_phone_address}}"), &john), Value::Null);
        assert_eq!(one(json!({"bar": [1, 2, 3]}), &john), json!({"bar": [1, 2, 3]}));
        assert_eq!(one(json!("https://my-site.com"), &john), json!("https://my-site.com"));
        john.unsafe_metadata = json!({"foo": {"bar": 42}}).as_object().cloned().expect("object");
        assert_eq!(one(json!("{{user.unsafe_metadata}}"), &john), json!({"foo": {"bar": 42}}));
        assert_eq!(one(json!("{{user.external_id || user.id}}"), &john), json!(john.id));
        john.add_email(
            crate::id::EmailAddressId::generate(john.created_at, &mut SeededRng::new(4)),
            Email::parse("j@example.com").expect("valid"),
            None,
            john.created_at,
        );
        assert_eq!(one(json!("{{user.email_verified || user.phone_number_verified}}"), &john), json!(false));
    }

    #[test]
    fn private_metadata_never_resolves() {
        let mut ada = user(None, None);
        ada.private_metadata = json!({"secret": 1}).as_object().cloned().expect("object");
        assert_eq!(one(json!("{{user.private_metadata}}"), &ada), Value::Null);
        assert_eq!(one(json!("{{user.private_metadata.secret}}"), &ada), Value::Null);
        assert_eq!(one(json!("{{user.password_hash}}"), &ada), Value::Null);
    }

    #[test]
    fn a_value_that_looks_like_a_template_is_not_rendered_again() {
        let mut eve = user(Some("{{user.id}}"), None);
        eve.last_name = Some("x".to_owned());
        assert_eq!(one(json!("{{user.first_name}}"), &eve), json!("{{user.id}}"));
    }

    #[test]
    fn the_listed_shortcodes_are_those_of_the_scope() {
        let scope = Scope::of_user(&user(None, None));
        let tables = scope.root.as_object().expect("an object");
        let paths = tables.iter().flat_map(|(table, inner)| {
            let names = inner.as_object().expect("an object").keys();
            names.map(move |name| format!("{table}.{name}"))
        });
        assert_eq!(paths.collect::<Vec<_>>(), SHORTCODES);
    }

    #[test]
    fn a_shortcode_that_is_always_null_is_found_with_a_better_one() {
        let template = json!({
            "known": "{{user.first_name || user.public_metadata.a.b}} {{session.actor.sub}} {{session.id}}",
            "deep": [{"x": "{{user.frst_name || 'friend'}} and {{user.frst_name}}"}],
            "leaf": "{{full_name}}",
            "far": "{{nonsense.path}}",
            "inside": "{{user.id.x}}",
            "private": "{{user.private_metadata.secret}}",
            "vendor": "{{user.primary_phone_number}} {{org.id}}",
        });
        let found = unknown_shortcodes(template.as_object().expect("object"));
        let found: Vec<(&str, Option<&str>)> =
            found.iter().map(|one| (one.path.as_str(), one.nearest.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("user.frst_name", Some("user.first_name")),
                ("nonsense.path", None),
                ("user.id.x", Some("user.id")),
                ("full_name", Some("user.full_name")),
                ("user.private_metadata.secret", None),
                ("user.primary_phone_number", None),
                ("org.id", None),
            ]
        );
    }

    #[test]
    fn reserved_names_and_broken_templates_are_refused() {
        let refuse = |value: Value| check(value.as_object().expect("object")).expect_err("refused");
        for name in RESERVED.into_iter().chain(["org_id", "org_permissions"]) {
            assert_eq!(refuse(json!({name: 1})), TemplateError::Reserved(name.to_owned()));
        }
        assert_eq!(refuse(json!({"a": "{{user.id"})), TemplateError::Unclosed);
        assert!(matches!(refuse(json!({"a": "{{user..id}}"})), TemplateError::Syntax(_)));
        assert!(matches!(refuse(json!({"a": "{{1 + 1}}"})), TemplateError::Syntax(_)));
        assert!(matches!(refuse(json!({"a": "x".repeat(5000)})), TemplateError::TooLarge(_)));
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(refuse(json!({"a": deep})), TemplateError::TooDeep);
    }
}
