//! Filters, search and pages.

use sojourn_core::{
    id::{SessionId, UserId},
    session::ClosedStatus,
};
use sojourn_store::{
    Engine as _, SessionFilter, SessionOrder, Store, StoredStatus, UserFilter, UserOrder, Write,
};

use crate::common::{World, at, closed};

pub async fn sessions_are_filtered_and_paged(store: Store) {
    let mut world = World::new(store, 1).await;
    world.allow_many(0).await;
    let (ada, bob) = (world.user("Ada", 1).await, world.user("Bob", 1).await);
    let (home, work) = (world.client(2).await, world.client(2).await);
    let a = world.sign_in(home, ada.id, 10).await;
    let b = world.sign_in(home, bob.id, 11).await;
    let c = world.sign_in(work, ada.id, 12).await;
    world.put(20, Write::CloseSession(closed(&b, 20, ClosedStatus::Revoked))).await.expect("closed");
    let all = SessionFilter { limit: 10, ..SessionFilter::default() };
    let oldest = SessionOrder::OldestFirst;
    let open = Some(StoredStatus::Open);
    let revoked = Some(StoredStatus::Closed(ClosedStatus::Revoked));
    let ended = Some(StoredStatus::Closed(ClosedStatus::Ended));
    let cases = [
        (SessionFilter { ..all.clone() }, vec![c.id, b.id, a.id], 3),
        (SessionFilter { order: oldest, ..all.clone() }, vec![a.id, b.id, c.id], 3),
        (SessionFilter { limit: 1, offset: 1, ..all.clone() }, vec![b.id], 3),
        (SessionFilter { limit: 0, ..all.clone() }, vec![], 3),
        (SessionFilter { client_id: Some(home), ..all.clone() }, vec![b.id, a.id], 2),
        (SessionFilter { user_id: Some(ada.id), ..all.clone() }, vec![c.id, a.id], 2),
        (SessionFilter { ids: vec![a.id, b.id], ..all.clone() }, vec![b.id, a.id], 2),
        (SessionFilter { stored: open, ..all.clone() }, vec![c.id, a.id], 2),
        (SessionFilter { stored: revoked, ..all.clone() }, vec![b.id], 1),
        (SessionFilter { stored: ended, ..all.clone() }, vec![], 0),
        (
            SessionFilter {
                client_id: Some(home),
                user_id: Some(ada.id),
                ids: vec![a.id, c.id],
                stored: open,
                ..all.clone()
            },
            vec![a.id],
            1,
        ),
    ];
    for (filter, expected, expected_total) in cases {
        let (found, total) = world.store.sessions(world.instance, filter.clone()).await.expect("a load");
        let found: Vec<SessionId> = found.iter().map(|session| session.id).collect();
        assert_eq!((found, total), (expected, expected_total), "{filter:?}");
    }
}

pub async fn users_are_filtered_searched_and_paged(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let mut bob = world.user("Bob", 2).await;
    let mut odd = world.new_user("Carol", 3);
    odd.last_name = Some("100%_\\Ö".to_owned());
    odd.banned = true;
    world.put(3, Write::User(odd.clone())).await.expect("a user");
    bob.external_id = Some("x'1".to_owned());
    bob.last_sign_in_at = Some(at(50));
    bob.updated_at = at(50);
    world.put(50, Write::User(bob.clone())).await.expect("changed");
    let all = UserFilter { limit: 10, ..UserFilter::default() };
    let search = |query: &str| UserFilter { query: Some(query.to_owned()), ..all.clone() };
    let order = |order| UserFilter { order, ..all.clone() };
    let cases = [
        (all.clone(), vec![odd.id, bob.id, ada.id]),
        (order(UserOrder::OldestFirst), vec![ada.id, bob.id, odd.id]),
        (UserFilter { ids: vec![ada.id], ..all.clone() }, vec![ada.id]),
        (
            UserFilter {
                emails: vec!["bob@example.com".to_owned(), "ada@example.com".to_owned()],
                ..all.clone()
            },
            vec![bob.id, ada.id],
        ),
        (UserFilter { external_ids: vec!["x'1".to_owned()], ..all.clone() }, vec![bob.id]),
        (UserFilter { banned: Some(true), ..all.clone() }, vec![odd.id]),
        (UserFilter { banned: Some(false), ..all.clone() }, vec![bob.id, ada.id]),
        (search("EXAMPLE"), vec![odd.id, bob.id, ada.id]),
        (search("carol 100%"), vec![odd.id]),
        (search("%_\\ö"), vec![odd.id]),
        (search("%"), vec![odd.id]),
        (search("a_a"), vec![]),
        (search("' OR 1=1"), vec![]),
        (search(&ada.id.to_string()), vec![ada.id]),
    ];
    for (filter, expected) in cases {
        let (found, total) = world.store.users(world.instance, filter.clone()).await.expect("a load");
        let found: Vec<UserId> = found.iter().map(|user| user.id).collect();
        assert_eq!(total, expected.len() as u64, "{filter:?}");
        assert_eq!(found, expected, "{filter:?}");
    }
    let first = async |order: UserOrder| {
        let filter = UserFilter { order, limit: 1, ..UserFilter::default() };
        let (found, total) = world.store.users(world.instance, filter).await.expect("a load");
        assert_eq!(total, 3);
        found[0].id
    };
    assert_eq!(first(UserOrder::LastSignInNewestFirst).await, bob.id);
    assert_ne!(first(UserOrder::LastSignInOldestFirst).await, bob.id);
    assert_eq!(first(UserOrder::UpdatedNewestFirst).await, bob.id);
    assert_eq!(first(UserOrder::UpdatedOldestFirst).await, ada.id);
    let second = UserFilter { limit: 1, offset: 1, ..UserFilter::default() };
    let (found, _) = world.store.users(world.instance, second).await.expect("a load");
    assert_eq!(found[0].id, bob.id);
}
