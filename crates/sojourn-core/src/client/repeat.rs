//! Repeats a sign-in whose response was lost: the browser still has the client secret from before
//! the rotation, and the user verifies the same account again.
//!
//! The old secret alone authenticates nothing. A new verification ends only the session that the
//! lost response created for the same account.

use super::{
    Client, ClientStep, ClientWithSessions, GRACE, NewSession, Predecessor, SecretHash, SignInRefused, admit,
    close_overdue,
};
use crate::{
    id::UserId,
    policy::Policy,
    session::{ClosedStatus, EndReason, EndedBy, Ending, Session},
    time::Moment,
};

/// The end of a session that a repeated sign-in replaces.
const REPLACED: Ending =
    Ending { status: ClosedStatus::Replaced, reason: EndReason::Replaced, by: EndedBy::User };

impl Client {
    /// The last rotation, if `presented` is the secret from before it and no request has presented
    /// the new secret yet.
    pub fn unanswered_rotation(&self, presented: &SecretHash) -> Option<Predecessor> {
        let unseen = |old: &Predecessor| old.good_until == old.rotated_at + GRACE;
        self.predecessor.filter(|old| old.secret.matches(presented) && unseen(old))
    }
}

/// The open sessions that were created by `rotation` or later. A client that still has the old
/// secret does not know them.
pub fn unanswered_sessions(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    rotation: &Predecessor,
) -> Vec<Session> {
    let mut open = close_overdue(at, policy, browser).browser.sessions;
    open.retain(|session| session.created_at >= rotation.rotated_at);
    open
}

/// Closes the sessions of `user_id` among [`unanswered_sessions`].
pub fn end_unanswered(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    rotation: &Predecessor,
    user_id: UserId,
) -> ClientStep {
    let mut step = close_overdue(at, policy, browser);
    let goes = |session: &Session| session.created_at >= rotation.rotated_at && session.user_id == user_id;
    let (ended, open): (Vec<_>, Vec<_>) = step.browser.sessions.drain(..).partition(goes);
    step.browser.sessions = open;
    for session in &ended {
        // `close_overdue` returned open sessions only, so `close` succeeds.
        let Ok(closing) = REPLACED.close(at.now, policy, session) else { continue };
        step.close(at, session, closing);
    }
    step.reselect();
    step
}

/// Starts a new session for a user who verified the account again with the secret from before
/// `rotation`. The session that the lost response created ends in the same step.
///
/// # Errors
/// As [`admit`], also if the session from the lost response belongs to another account.
pub fn readmit(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    rotation: &Predecessor,
    new_session: NewSession,
) -> Result<ClientStep, SignInRefused> {
    let ended = end_unanswered(at, policy, browser, rotation, new_session.user_id);
    let mut step = admit(at, policy, &ended.browser, new_session)?;
    step.closed.splice(0..0, ended.closed);
    step.events.splice(0..0, ended.events);
    // No client has the secret of the lost response. The presented secret stays the predecessor,
    // because this response may be lost too.
    if let Some(predecessor) = &mut step.browser.client.predecessor {
        predecessor.secret = rotation.secret;
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::Identity,
        id::{ClientId, SessionId},
        session::Device,
        settings::Settings,
        testing::SeededRng,
        time::{Timestamp, seconds},
    };

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn new_session(rng: &mut SeededRng, user_id: UserId, secret: u8) -> NewSession {
        NewSession {
            session_id: SessionId::generate(START, rng),
            user_id,
            device: Device::default(),
            impersonation: None,
            strategy: "password".to_owned(),
            secret: SecretHash([secret; 32]),
        }
    }

    #[test]
    fn a_repeated_sign_in_replaces_the_session_of_a_lost_answer() {
        let mut rng = SeededRng::new(1);
        let policy = Policy::new(Settings::initial(START).policy_version());
        let user_id = UserId::generate(START, &mut rng);
        let client =
            Client::new(ClientId::generate(START, &mut rng), SecretHash([0; 32]), Moment::real(START));
        let empty = ClientWithSessions { client, sessions: Vec::new() };
        let first =
            admit(Moment::real(START), &policy, &empty, new_session(&mut rng, user_id, 1)).expect("in");
        let mut browser = first.browser;
        // Two responses in a row are lost; the third arrives.
        for (turn, secret) in [(1, 2), (2, 3)] {
            let at = Moment::real(START + seconds(turn));
            let rotation =
                browser.client.unanswered_rotation(&SecretHash([0; 32])).expect("nobody saw the new secret");
            assert_eq!(unanswered_sessions(at, &policy, &browser, &rotation).len(), 1);
            let step = readmit(at, &policy, &browser, &rotation, new_session(&mut rng, user_id, secret));
            let step = step.expect("the same account");
            assert_eq!(step.browser.sessions.len(), 1);
            assert_eq!(step.closed.len(), 1);
            assert_eq!(step.closed[0].closed.expect("ended").status, ClosedStatus::Replaced);
            browser = step.browser;
        }
        let now = START + seconds(3);
        let identify = |secret| browser.client.identify(now, &SecretHash([secret; 32]));
        assert_eq!(identify(3), Identity::Current { confirms_rotation: true });
        assert_eq!(identify(1), Identity::Superseded, "the secret of a lost answer is nobody's");
        assert_eq!(identify(2), Identity::Superseded);
        browser.client.retire_predecessor(now);
        assert_eq!(browser.client.unanswered_rotation(&SecretHash([0; 32])), None, "the answer arrived");
    }

    #[test]
    fn a_repeat_by_another_account_ends_nothing_and_is_refused() {
        let mut rng = SeededRng::new(1);
        let policy = Policy::new(Settings::initial(START).policy_version());
        let [ada, eve] = [(); 2].map(|()| UserId::generate(START, &mut rng));
        let client =
            Client::new(ClientId::generate(START, &mut rng), SecretHash([0; 32]), Moment::real(START));
        let empty = ClientWithSessions { client, sessions: Vec::new() };
        let first = admit(Moment::real(START), &policy, &empty, new_session(&mut rng, ada, 1)).expect("in");
        let rotation = first.browser.client.unanswered_rotation(&SecretHash([0; 32])).expect("lost");
        let at = Moment::real(START + seconds(1));
        let refused = readmit(at, &policy, &first.browser, &rotation, new_session(&mut rng, eve, 2));
        assert_eq!(refused, Err(SignInRefused::SessionExists));
    }
}
