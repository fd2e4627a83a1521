//! Conversions of a session.

use std::net::IpAddr;

use sojourn_api as api;
use sojourn_core::{
    policy::Policy,
    session::{ClosedStatus, Device, Session, Verdict, decide},
    time::Timestamp,
    user::User,
    user_agent::describe,
};

use super::{
    millis,
    user::{Audience, public_user_data, user as user_object},
};

/// The session as its user's browsers see it. `token` is its fresh session token:
/// every signed-in session needs one, because a missing one deletes the
/// `__session` cookie. Compat: clerk/javascript packages/clerk-js/src/core/clerk.ts updateClient
pub fn frontend_session(
    now: Timestamp,
    policy: &Policy,
    session: &Session,
    user: Option<&User>,
    token: Option<&str>,
) -> api::BrowserSession {
    api::BrowserSession {
        session: with_place(backend_session(now, policy, session)),
        factor_verification_age: session.factor_ages(now),
        user: user.map(|user| user_object(user, Some(session.last_active_at), now, Audience::Browser)),
        public_user_data: user.map(public_user_data),
        last_active_token: token.map(token_object),
    }
}

/// The session as application servers see it.
pub fn backend_session(now: Timestamp, policy: &Policy, session: &Session) -> api::Session {
    api::Session {
        object: api::Kind::default(),
        id: session.id.to_string(),
        client_id: session.client_id.to_string(),
        user_id: session.user_id.to_string(),
        status: match decide(now, policy, session) {
            Verdict::Open { .. } => api::SessionStatus::Active,
            Verdict::Closed(closing) => closed_status(closing.status),
        },
        last_active_at: millis(session.last_active_at),
        last_active_organization_id: None,
        actor: session.impersonation.as_ref().map(|own| own.actor.clone()),
        tasks: None,
        latest_activity: activity(session),
        expire_at: millis(session.expire_at(policy)),
        abandon_at: millis(session.abandon_at(policy)),
        created_at: millis(session.created_at),
        updated_at: millis(session.updated_at),
    }
}

pub(super) const fn closed_status(status: ClosedStatus) -> api::SessionStatus {
    match status {
        ClosedStatus::Ended => api::SessionStatus::Ended,
        ClosedStatus::Removed => api::SessionStatus::Removed,
        ClosedStatus::Revoked => api::SessionStatus::Revoked,
        ClosedStatus::Expired => api::SessionStatus::Expired,
        ClosedStatus::Abandoned => api::SessionStatus::Abandoned,
        ClosedStatus::Replaced => api::SessionStatus::Replaced,
    }
}

/// A token object; never wrapped. Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/Token.ts
pub fn token_object(jwt: &str) -> api::Token {
    api::Token { object: api::Kind::default(), jwt: jwt.to_owned() }
}

/// Where a session is used from. What is not known is left out: the public
/// document has no null here, and Java's SDK refuses one.
pub fn activity(session: &Session) -> api::SessionActivity {
    let Device { user_agent, ip_address } = &session.device;
    let browser = describe(user_agent);
    api::SessionActivity {
        object: api::Kind::default(),
        id: session.id.to_string().replacen("sess_", "sess_activity_", 1),
        is_mobile: browser.is_mobile,
        device_type: browser.system.map(str::to_owned),
        browser_name: browser.name.map(str::to_owned),
        browser_version: browser.version.map(str::to_owned),
        ip_address: Some(ip_address.clone()).filter(|address| !address.is_empty()),
        city: None,
    }
}

/// Says where the address is, because the device list puts the place in parentheses also
/// where there is none: `::1 ()`.
// Compat: clerk/javascript packages/ui/src/components/UserProfile/ActiveDevicesSection.tsx
pub fn with_place(mut session: api::Session) -> api::Session {
    let activity = &mut session.latest_activity;
    activity.city = Some(place(activity.ip_address.as_deref().unwrap_or_default()).to_owned());
    session
}

fn place(address: &str) -> &'static str {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if address.is_loopback() => "this computer",
        Ok(IpAddr::V4(address)) if address.is_private() || address.is_link_local() => "local network",
        Ok(IpAddr::V6(address)) if address.is_unique_local() || address.is_unicast_link_local() => {
            "local network"
        }
        _ => "location unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn each_address_is_somewhere() {
        let rows = [
            ("::1", "this computer"),
            ("127.0.0.1", "this computer"),
            ("::ffff:127.0.0.1", "this computer"),
            ("192.168.1.7", "local network"),
            ("fd00::7", "local network"),
            ("203.0.113.7", "location unknown"),
            ("", "location unknown"),
        ];
        for (address, expected) in rows {
            assert_eq!(place(address), expected, "{address}");
        }
    }
}
