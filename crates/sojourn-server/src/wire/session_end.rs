//! The end of a session: the record in the API, and the texts for users.

use std::time::Duration;

use serde_json::Value;
use sojourn_api as api;
use sojourn_core::session::{Closing, EndReason, EndedBy, Session};

use super::{
    millis,
    session::{activity, closed_status},
};

/// The end record, for the Backend API.
pub fn record(session: &Session, closing: &Closing) -> api::SessionEnd {
    api::SessionEnd {
        object: api::Kind::default(),
        session_id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        client_id: session.client_id.to_string(),
        status: closed_status(closing.status),
        reason: reason(closing.reason),
        ended_at: millis(closing.at),
        last_active_at: millis(session.last_active_at),
        deadline_at: millis(closing.deadline_at),
        actor: api::EndActor { kind: actor_type(closing.by), id: actor_id(session, closing) },
        settings_version: closing.settings_version,
        activity: activity(session),
    }
}

/// The notice for the browser that held the session, with a sentence to show.
pub fn notice(session: &Session, closing: &Closing) -> api::SessionEndNotice {
    api::SessionEndNotice {
        object: api::Kind::default(),
        session_id: session.id.to_string(),
        status: closed_status(closing.status),
        reason: reason(closing.reason),
        ended_at: millis(closing.at),
        message: format!("{SIGNED_OUT}{}", because(session, closing)),
    }
}

const fn reason(reason: EndReason) -> api::EndReason {
    match reason {
        EndReason::SignedOut => api::EndReason::SignedOut,
        EndReason::SignedOutEverywhere => api::EndReason::SignedOutEverywhere,
        EndReason::RevokedByBackend => api::EndReason::RevokedByBackend,
        EndReason::RevokedByAdmin => api::EndReason::RevokedByAdmin,
        EndReason::RevokedByUser => api::EndReason::RevokedByUser,
        EndReason::InactivityTimeout => api::EndReason::InactivityTimeout,
        EndReason::MaximumLifetime => api::EndReason::MaximumLifetime,
        EndReason::Replaced => api::EndReason::Replaced,
        EndReason::SettingsTightened => api::EndReason::SettingsTightened,
        EndReason::PasswordChanged => api::EndReason::PasswordChanged,
        EndReason::UserBanned => api::EndReason::UserBanned,
        EndReason::UserDeleted => api::EndReason::UserDeleted,
        EndReason::ImpersonationOver => api::EndReason::ImpersonationOver,
    }
}

const fn actor_type(by: EndedBy) -> api::EndActorType {
    match by {
        EndedBy::User => api::EndActorType::User,
        EndedBy::Backend => api::EndActorType::Backend,
        EndedBy::Admin => api::EndActorType::Admin,
        EndedBy::System => api::EndActorType::System,
    }
}

/// The start of every sentence about an end; the time may follow, then [`because`].
pub const SIGNED_OUT: &str = "You were signed out";

/// The rest of the sentence, to its full stop. All these texts are here.
pub fn because(session: &Session, closing: &Closing) -> String {
    let fixed = match closing.reason {
        EndReason::SignedOut => ".",
        EndReason::SignedOutEverywhere => " of all accounts in this browser.",
        EndReason::RevokedByBackend => " by the application.",
        EndReason::RevokedByAdmin => " by an administrator.",
        EndReason::RevokedByUser => " from another device.",
        EndReason::InactivityTimeout => {
            let span = in_words(closing.deadline_at.since(session.last_active_at));
            return format!(" after {} without activity.", span.as_deref().unwrap_or("some time"));
        }
        EndReason::MaximumLifetime => {
            let span = in_words(closing.deadline_at.since(session.created_at));
            return format!(" because a sign-in lasts {} at most.", span.as_deref().unwrap_or("some time"));
        }
        EndReason::Replaced => " because of a newer sign-in.",
        EndReason::SettingsTightened => " because the time that people stay signed in was shortened.",
        EndReason::PasswordChanged => " because the password of the account was changed.",
        EndReason::UserBanned => " because the account was banned.",
        EndReason::UserDeleted => " because the account was deleted.",
        EndReason::ImpersonationOver => " because the time to act as this account was over.",
    };
    fixed.to_owned()
}

/// `30 minutes`, in the largest unit that divides it; `None` for a duration that no setting can
/// have.
fn in_words(span: Duration) -> Option<String> {
    let seconds = span.as_secs();
    if seconds == 0 || span.subsec_nanos() != 0 {
        return None;
    }
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit))?;
    let count = seconds / unit;
    let plural = if count == 1 { "" } else { "s" };
    Some(format!("{count} {name}{plural}"))
}

/// The id of the user or actor that ended the session. An end from another device was caused by the
/// user.
fn actor_id(session: &Session, closing: &Closing) -> Option<String> {
    let here = matches!(closing.reason, EndReason::SignedOut | EndReason::SignedOutEverywhere);
    match (closing.by, &session.impersonation) {
        (EndedBy::User, Some(own)) if here => own.actor.get("sub").and_then(Value::as_str).map(str::to_owned),
        (EndedBy::User, _) => Some(session.user_id.to_string()),
        (EndedBy::Backend | EndedBy::Admin | EndedBy::System, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use sojourn_core::{
        id::{ClientId, SessionId, UserId},
        impersonation::Impersonation,
        session::{ClosedStatus, Device},
        testing::SeededRng,
        time::{Timestamp, days, minutes, seconds},
    };

    use super::*;

    const BEGAN: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn session() -> Session {
        let mut rng = SeededRng::new(1);
        Session {
            id: SessionId::generate(BEGAN, &mut rng),
            client_id: ClientId::generate(BEGAN, &mut rng),
            user_id: UserId::generate(BEGAN, &mut rng),
            created_at: BEGAN,
            updated_at: BEGAN,
            last_active_at: BEGAN,
            settings_version: 1,
            first_factor_verified_at: BEGAN,
            device: Device::default(),
            impersonation: None,
            closed: None,
        }
    }

    fn closing(reason: EndReason, by: EndedBy) -> Closing {
        Closing {
            at: BEGAN + days(7),
            status: ClosedStatus::Revoked,
            reason,
            by,
            deadline_at: BEGAN + days(7),
            settings_version: 1,
        }
    }

    #[test]
    fn every_reason_has_its_sentence() {
        let words = "signed_out signed_out_everywhere revoked_by_backend revoked_by_admin revoked_by_user \
                     inactivity_timeout maximum_lifetime replaced settings_tightened password_changed \
                     user_banned user_deleted impersonation_over";
        let sentences: Vec<String> = words
            .split_whitespace()
            .map(|word| closing(EndReason::from_word(word).unwrap(), EndedBy::System))
            .map(|closing| notice(&session(), &closing).message)
            .collect();
        insta::assert_snapshot!(sentences.join("\n"), @"
        You were signed out.
        You were signed out of all accounts in this browser.
        You were signed out by the application.
        You were signed out by an administrator.
        You were signed out from another device.
        You were signed out after 7 days without activity.
        You were signed out because a sign-in lasts 7 days at most.
        You were signed out because of a newer sign-in.
        You were signed out because the time that people stay signed in was shortened.
        You were signed out because the password of the account was changed.
        You were signed out because the account was banned.
        You were signed out because the account was deleted.
        You were signed out because the time to act as this account was over.
        ");
    }

    #[test]
    fn the_actor_is_named_only_for_ends_of_the_actor() {
        let mut session = session();
        let user = Some(session.user_id.to_string());
        assert_eq!(actor_id(&session, &closing(EndReason::SignedOut, EndedBy::User)), user);
        let actor = serde_json::json!({"sub": "user_support"}).as_object().unwrap().clone();
        session.impersonation = Some(Impersonation { actor, maximum: minutes(30) });
        assert_eq!(
            actor_id(&session, &closing(EndReason::SignedOut, EndedBy::User)).as_deref(),
            Some("user_support")
        );
        assert_eq!(actor_id(&session, &closing(EndReason::RevokedByUser, EndedBy::User)), user);
        assert_eq!(actor_id(&session, &closing(EndReason::UserBanned, EndedBy::Backend)), None);
    }

    #[test]
    fn a_span_is_said_in_its_largest_whole_unit() {
        let said = |span| in_words(span).unwrap_or_default();
        assert_eq!(said(minutes(30)), "30 minutes");
        assert_eq!(said(minutes(60)), "1 hour");
        assert_eq!(said(minutes(90)), "90 minutes");
        assert_eq!(said(days(7)), "7 days");
        assert_eq!(said(seconds(1)), "1 second");
        assert_eq!(in_words(Duration::from_millis(1500)), None);
        assert_eq!(in_words(Duration::ZERO), None);
    }
}
