//! A session on the wire.

use serde_json::{Value, json};
use sojourn_core::{
    policy::Policy,
    session::{Device, Session},
    time::Timestamp,
    user::User,
};

use super::user::{Audience, public_user_data, user as user_object};

/// The session object that browsers get. `token` is its fresh session token:
/// every signed-in session needs one, because a missing one deletes the
/// `__session` cookie. Compat: clerk/javascript packages/clerk-js/src/core/clerk.ts updateClient
pub fn frontend_session(
    now: Timestamp,
    policy: &Policy,
    session: &Session,
    user: Option<&User>,
    token: Option<&str>,
) -> Value {
    let mut object = backend_session(now, policy, session);
    object["factor_verification_age"] = json!(session.factor_ages(now));
    object["user"] = user.map_or(Value::Null, |user| user_object(user, now, Audience::Browser));
    object["public_user_data"] = user.map_or(Value::Null, public_user_data);
    object["last_active_token"] = token.map_or(Value::Null, token_object);
    object
}

/// The session object that application servers get.
pub fn backend_session(now: Timestamp, policy: &Policy, session: &Session) -> Value {
    json!({
        "object": "session",
        "id": session.id,
        "client_id": session.client_id,
        "user_id": session.user_id,
        "status": session.status(now, policy),
        "last_active_at": session.last_active_at,
        "last_active_organization_id": null,
        "actor": session.impersonation.as_ref().map(|own| &own.actor),
        "tasks": null,
        "latest_activity": activity(session),
        "expire_at": session.expire_at(policy),
        "abandon_at": session.abandon_at(policy),
        "created_at": session.created_at,
        "updated_at": session.updated_at,
    })
}

/// A token object; never wrapped. Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/Token.ts
pub fn token_object(jwt: &str) -> Value {
    json!({"object": "token", "jwt": jwt})
}

/// Where a session is used from.
pub fn activity(session: &Session) -> Value {
    let Device { user_agent, ip_address } = &session.device;
    let browser = describe(user_agent);
    json!({
        "object": "session_activity",
        "id": session.id.to_string().replacen("sess_", "sess_activity_", 1),
        "device_type": browser.system,
        "is_mobile": browser.is_mobile,
        "browser_name": browser.name,
        "browser_version": browser.version,
        "ip_address": ip_address,
        "city": null,
        "country": null,
    })
}

/// What a `User-Agent` header says, as far as people need it.
struct Browser<'a> {
    name: Option<&'static str>,
    version: Option<&'a str>,
    system: Option<&'static str>,
    is_mobile: bool,
}

fn describe(user_agent: &str) -> Browser<'_> {
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
