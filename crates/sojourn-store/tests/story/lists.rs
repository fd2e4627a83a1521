//! Filters, search and pages.

use sojourn_core::{
    email::Email,
    id::{SessionId, UserId},
    session::ClosedStatus,
};
use sojourn_store::{
    Engine as _, SessionFilter, SessionOrder, Span, Store, StoredStatus, UserFilter, UserOrder, UserSortKey,
    Write,
};

use crate::common::{World, at, closed, moment};

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
        (order(sorted(UserSortKey::CreatedAt, false)), vec![ada.id, bob.id, odd.id]),
        (UserFilter { ids: vec![ada.id], ..all.clone() }, vec![ada.id]),
        (
            UserFilter {
                emails: ["bob@example.com", "ada@example.com"]
                    .map(|text| Email::parse(text).expect("an address"))
                    .to_vec(),
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
    assert_eq!(first(sorted(UserSortKey::LastSignInAt, true)).await, bob.id);
    assert_ne!(first(sorted(UserSortKey::LastSignInAt, false)).await, bob.id);
    assert_eq!(first(sorted(UserSortKey::UpdatedAt, true)).await, bob.id);
    assert_eq!(first(sorted(UserSortKey::UpdatedAt, false)).await, ada.id);
    let second = UserFilter { limit: 1, offset: 1, ..UserFilter::default() };
    let (found, _) = world.store.users(world.instance, second).await.expect("a load");
    assert_eq!(found[0].id, bob.id);
}

const fn sorted(by: UserSortKey, descending: bool) -> UserOrder {
    UserOrder { by, descending }
}

pub async fn users_are_found_by_times_and_parts_of_names(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 10).await;
    let mut bob = world.new_user("bob", 20);
    bob.last_name = Some("Ångström".to_owned());
    world.put(20, Write::User(bob.clone())).await.expect("a user");
    let mut nameless = world.new_user("Cy", 30);
    nameless.first_name = None;
    world.put(30, Write::User(nameless.clone())).await.expect("a user");
    let client = world.client(40).await;
    let session = world.sign_in(client, ada.id, 40).await;
    world.store.record_activity(world.instance, session.id, moment(60));
    let other = world.client(45).await;
    world.sign_in(other, bob.id, 45).await;
    let all = UserFilter { limit: 10, order: sorted(UserSortKey::CreatedAt, false), ..UserFilter::default() };
    let span = |from: Option<i64>, before: Option<i64>| Span { from: from.map(at), before: before.map(at) };
    let name = |query: &str| UserFilter { name_query: Some(query.to_owned()), ..all.clone() };
    let email = |query: &str| UserFilter { email_query: Some(query.to_owned()), ..all.clone() };
    let order = |by, descending| UserFilter { order: sorted(by, descending), ..all.clone() };
    let active = |from, before| UserFilter { last_active: span(from, before), ..all.clone() };
    let cases = [
        (UserFilter { created: span(Some(20), None), ..all.clone() }, vec![bob.id, nameless.id]),
        (UserFilter { created: span(Some(10), Some(20)), ..all.clone() }, vec![ada.id]),
        // The newest activity, which is only in memory. A user who was never active does not match.
        (active(Some(60), None), vec![ada.id]),
        (active(None, Some(60)), vec![bob.id]),
        (active(Some(61), None), vec![]),
        (UserFilter { last_sign_in: span(None, Some(1000)), ..all.clone() }, vec![]),
        (name("DA"), vec![ada.id]),
        (name("b Å"), vec![bob.id]),
        (name("example"), vec![]),
        (name("user_"), vec![]),
        (name("%"), vec![]),
        (email("ADA@"), vec![ada.id]),
        (email("Ångström"), vec![]),
        (email("_"), vec![]),
        (order(UserSortKey::FirstName, false), vec![nameless.id, ada.id, bob.id]),
        (order(UserSortKey::FirstName, true), vec![bob.id, ada.id, nameless.id]),
        (order(UserSortKey::LastName, true), vec![bob.id, nameless.id, ada.id]),
        (order(UserSortKey::EmailAddress, true), vec![nameless.id, bob.id, ada.id]),
        (order(UserSortKey::LastActiveAt, true), vec![ada.id, bob.id, nameless.id]),
        (order(UserSortKey::LastActiveAt, false), vec![nameless.id, bob.id, ada.id]),
    ];
    for (filter, expected) in cases {
        let (found, total) = world.store.users(world.instance, filter.clone()).await.expect("a load");
        let found: Vec<UserId> = found.iter().map(|user| user.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(total, expected.len() as u64, "{filter:?}");
    }
    let everybody = vec![ada.id, bob.id, nameless.id];
    let newest = world.store.last_activity(world.instance, everybody).await.expect("a load");
    assert_eq!(newest, [(ada.id, at(60)), (bob.id, at(45))].into());
}

pub async fn sessions_are_walked_through_page_by_page(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let mut open = Vec::new();
    for secs in [10, 10, 11, 12, 12, 12, 13] {
        let client = world.client(secs).await;
        open.push(world.sign_in(client, ada.id, secs).await);
    }
    let gone = open.remove(3);
    world.put(20, Write::CloseSession(closed(&gone, 20, ClosedStatus::Removed))).await.expect("closed");
    world.store.record_activity(world.instance, open[0].id, moment(30));
    open.sort_by_key(|session| (session.created_at, session.id));
    for order in [SessionOrder::OldestFirst, SessionOrder::NewestFirst] {
        let mut filter =
            SessionFilter { stored: Some(StoredStatus::Open), order, limit: 2, ..SessionFilter::default() };
        let mut walked = Vec::new();
        loop {
            let page = world.store.session_page(world.instance, filter.clone()).await.expect("a load");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2);
            filter.after = Some((last.created_at, last.id));
            walked.extend(page.iter().map(|session| session.id));
        }
        let expected: Vec<SessionId> = open.iter().map(|session| session.id).collect();
        assert_eq!(walked, expected, "{order:?}");
        open.reverse();
    }
}
