//! Counts the users whose custom claims were too large and were left out of session tokens, so that
//! the operator does not have to search the log.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use sojourn_core::{id::UserId, time::Timestamp};

/// The maximum number of listed users.
const NAMED: usize = 20;

/// Counts of this process since its start.
#[derive(Debug)]
pub struct CutClaims {
    since: Timestamp,
    cut: Mutex<Cut>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cut {
    tokens: u64,
    /// Newest first, without duplicates.
    users: VecDeque<UserId>,
}

/// The counts so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutClaimsReport {
    pub since: Timestamp,
    /// The number of tokens without custom claims.
    pub tokens: u64,
    /// The most recent users.
    pub users: Vec<UserId>,
}

impl CutClaims {
    pub(crate) fn since(since: Timestamp) -> Self {
        Self { since, cut: Mutex::default() }
    }

    pub(crate) fn count(&self, user: UserId) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.tokens += 1;
        cut.users.retain(|known| *known != user);
        cut.users.push_front(user);
        cut.users.truncate(NAMED);
    }

    pub fn report(&self) -> CutClaimsReport {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        CutClaimsReport { since: self.since, tokens: cut.tokens, users: cut.users.into() }
    }
}

#[cfg(test)]
mod tests {
    use sojourn_core::testing::SeededRng;

    use super::*;

    #[test]
    fn the_newest_twenty_users_are_named_once_each() {
        let start = Timestamp::from_millis(7);
        let mut rng = SeededRng::new(1);
        let users: Vec<UserId> = (0..25).map(|_| UserId::generate(start, &mut rng)).collect();
        let cut = CutClaims::since(start);
        users.iter().chain([&users[10], &users[10]]).for_each(|user| cut.count(*user));
        let report = cut.report();
        assert_eq!((report.since, report.tokens, report.users.len()), (start, 27, 20));
        assert_eq!(report.users[..3], [users[10], users[24], users[23]]);
        assert!(!report.users[1..].contains(&users[10]));
    }
}
