//! Outbox entries of a change set. Their ids are derived from the commit id, so that a set that is
//! applied twice writes each event once.

use serde_json::{Value, json};
use sojourn_core::{
    event::Event,
    id::{CommitId, EventId, Randomness},
    session::Session,
};

use crate::{
    change::{ChangeSet, Write},
    records::OutboxEntry,
};

/// The entries of a set, in order, without sequence numbers.
pub fn entries(changes: &ChangeSet) -> Vec<OutboxEntry> {
    let entry = |(index, event): (usize, &Event)| OutboxEntry {
        seq: 0,
        id: EventId::generate(changes.at.wall, &mut Derived::new(changes.id, index)),
        at: changes.at.now,
        name: event.name().to_owned(),
        data: data(event, changes),
    };
    changes.events.iter().enumerate().map(entry).collect()
}

/// The data of an event. It contains facts of the session, because the rows may be deleted when the
/// event is delivered. A user is loaded at delivery, in its state at that time.
fn data(event: &Event, changes: &ChangeSet) -> Value {
    match event {
        Event::UserCreated(user_id) | Event::UserUpdated(user_id) | Event::UserDeleted(user_id) => {
            json!({"user_id": user_id})
        }
        Event::SessionCreated { session_id, user_id, client_id, actor } => {
            json!({"session_id": session_id, "user_id": user_id, "client_id": client_id, "actor": actor})
        }
        Event::SessionClosed { session_id, user_id, closing } => json!({
            "session_id": session_id,
            "user_id": user_id,
            "session": changes.writes.iter().find_map(|write| match write {
                Write::CloseSession(row) if row.id == *session_id => Some(facts(row)),
                _ => None,
            }),
            "status": closing.status.as_str(),
            "reason": closing.reason.as_str(),
            "by": closing.by.as_str(),
            "at": closing.at,
            "deadline_at": closing.deadline_at,
            "settings_version": closing.settings_version,
        }),
        Event::SessionSettingsChanged { version } => json!({"version": version}),
    }
}

fn facts(session: &Session) -> Value {
    json!({
        "client_id": session.client_id,
        "actor": session.impersonation.as_ref().map(|own| &own.actor),
        "created_at": session.created_at,
        "last_active_at": session.last_active_at,
    })
}

/// Bytes derived from a commit id, which is random itself. Event ids must be unique, not secret, so
/// a mixing function is enough.
struct Derived(u64);

impl Derived {
    fn new(commit: CommitId, index: usize) -> Self {
        // FNV-1a of the text: its last 27 characters contain 128 random bits.
        let text = format!("{commit}/{index}");
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }
}

impl Randomness for Derived {
    fn fill(&mut self, bytes: &mut [u8]) {
        // SplitMix64.
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
