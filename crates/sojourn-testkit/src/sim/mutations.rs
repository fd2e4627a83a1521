//! Bugs to plant into a simulated server, each of a kind that real servers had: the
//! invariants have to find every one of them. They are in what a node's engine loads and
//! writes ([`super::engine`]): the service is the real one.

use std::time::Duration;

use sojourn_core::{
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    time::seconds,
};
use sojourn_store::{ChangeSet, Engine as _, StoreError, Write};

use crate::memory::MemoryEngine;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A session lives on at its deadline: `now <= until`.
    ClosedInterval,
    /// Sessions are judged by the newest settings only: looser ones revive.
    NewestSettingsOnly,
    /// A node answers refreshes from what it loaded before.
    CachedBrowser,
    /// Activity that arrives late opens a session again.
    LateActivityRevives,
    /// A client secret is good for ever.
    RotationIgnored,
    /// Two sign-ins that were decided on one browser both commit.
    UncheckedAdmission,
    /// A ticket is not spent.
    TicketNotSpent,
    /// A revocation is answered and not written.
    AnsweredBeforeWritten,
    /// An end is written without telling it.
    EndNotTold,
    /// A session is ended for inactivity without another look at its activity.
    ActivityNotConsulted,
    /// The application gets tokens for a session from what was loaded before.
    TokenAfterEnd,
    /// A dry run judges by the settings to come alone.
    WrongForecast,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ClosedInterval,
        Self::NewestSettingsOnly,
        Self::CachedBrowser,
        Self::LateActivityRevives,
        Self::RotationIgnored,
        Self::UncheckedAdmission,
        Self::TicketNotSpent,
        Self::AnsweredBeforeWritten,
        Self::EndNotTold,
        Self::ActivityNotConsulted,
        Self::TokenAfterEnd,
        Self::WrongForecast,
    ];
}

/// The policy that the service is given for the one that is stored.
pub(super) fn judged_by(mutation: Option<Mutation>, policy: Policy) -> Policy {
    match mutation {
        // Times are whole milliseconds: one more, and the deadline itself is within the limit.
        Some(Mutation::ClosedInterval) => {
            let mut versions = policy.spans().map(|(version, _)| longer(*version));
            let first = versions.next().map(Policy::new);
            first.map_or(policy.clone(), |first| versions.fold(first, Policy::then))
        }
        Some(Mutation::NewestSettingsOnly) => Policy::new(*policy.current()),
        _ => policy,
    }
}

fn longer(version: PolicyVersion) -> PolicyVersion {
    let lifetime = version.lifetime;
    let [inactivity, maximum] =
        [lifetime.inactivity(), lifetime.maximum()].map(|limit| Some(limit? + Duration::from_millis(1)));
    PolicyVersion { lifetime: Lifetime::new(inactivity, maximum).unwrap_or(lifetime), ..version }
}

/// Takes back what keeps two admissions apart.
pub(super) async fn overlook_others(rows: &MemoryEngine, set: &mut ChangeSet) -> Result<(), StoreError> {
    set.expects.clear();
    for write in &mut set.writes {
        if let Write::Client(client) = write
            && let Some(stored) = rows.browser(set.instance_id, client.id).await?
        {
            client.version = stored.browser.client.version;
        }
    }
    Ok(())
}

/// Has a set claim to know all activity.
pub(super) fn overlook_activity(set: &mut ChangeSet) {
    for write in &mut set.writes {
        if let Write::CloseSession(row) = write {
            row.last_active_at = row.last_active_at + seconds(1_000_000);
        }
    }
}
