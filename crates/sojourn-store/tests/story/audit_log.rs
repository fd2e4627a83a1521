//! The audit log: written with the act or not at all, filtered, and kept as long as it is asked for.

use sojourn_core::{
    audit::{Act, Action, Actor, AuditContext, AuditEntry, FieldChange, SystemJob},
    id::SecretKeyId,
};
use sojourn_store::{AuditFilter, ChangeSet, Engine as _, Span, Store, Write};

use crate::{
    common::{World, at},
    is_conflict,
};

fn context(byte: u8) -> AuditContext {
    AuditContext {
        actor: Actor::SecretKey {
            id: SecretKeyId::of_hash(&[byte; 32]),
            name: Some("worker".to_owned()),
            role: "full".to_owned(),
            label: None,
        },
        ip_address: Some("203.0.113.9".to_owned()),
        user_agent: Some("curl/8".to_owned()),
        request_id: Some("abc".to_owned()),
    }
}

async fn act(world: &mut World, secs: i64, context: &AuditContext, act: Act) -> AuditEntry {
    let set = world.set(secs).act(context, act);
    let entry = set.audit.clone().expect("an entry");
    world.commit(set).await.expect("committed");
    entry
}

async fn list(world: &World, filter: AuditFilter) -> Vec<AuditEntry> {
    let filter = AuditFilter { limit: 100, ..filter };
    world.store.audit_log(world.instance, filter).await.expect("a list").0
}

pub async fn an_entry_is_written_with_its_act_or_not_at_all(store: Store) {
    let mut world = World::new(store, 1).await;
    let before = list(&world, AuditFilter::default()).await.len();
    let user = world.new_user("Ada", 1);
    let created = Act::on(Action::UserCreated, user.id).field("first_name", (), "Ada");
    let set = |world: &mut World, write: Write| -> ChangeSet {
        world.set(2).write(write).act(&context(1), created.clone())
    };
    let first = set(&mut world, Write::User(user.clone()));
    let entry = first.audit.clone().expect("an entry");
    world.commit(first.clone()).await.expect("a new user");
    // The response was lost, and the same set is sent again.
    world.commit(first).await.expect("known");
    let refused = set(&mut world, Write::User(user));
    assert!(is_conflict(&world.commit(refused).await));
    let found = list(&world, AuditFilter::default()).await;
    assert_eq!(found.len(), before + 1);
    assert_eq!(found[0], entry);
}

pub async fn the_audit_log_is_filtered_and_paged(store: Store) {
    let mut world = World::new(store, 1).await;
    let (one, other) = (context(1), context(2));
    let system = AuditContext::system(SystemJob::Configuration);
    let mut acts = Vec::new();
    for (secs, context, action, object) in [
        (10, &one, Action::SettingsChanged, "2"),
        (11, &other, Action::SecretKeyCreated, "key_a"),
        (12, &system, Action::SettingsChanged, "3"),
        (13, &one, Action::SecretKeyRevoked, "key_a"),
    ] {
        acts.push(act(&mut world, secs, context, Act::on(action, object)).await);
    }
    let of = async |filter: AuditFilter| {
        let since = Span { from: filter.acted.from.or(Some(at(10))), ..filter.acted };
        list(&world, AuditFilter { acted: since, ..filter }).await
    };
    let picked = |numbers: &[usize]| numbers.iter().map(|at| acts[*at].clone()).collect::<Vec<_>>();
    assert_eq!(of(AuditFilter::default()).await, picked(&[3, 2, 1, 0]));
    let by =
        |context: &AuditContext| AuditFilter { actor: Some(context.actor.key()), ..AuditFilter::default() };
    assert_eq!(of(by(&one)).await, picked(&[3, 0]));
    assert_eq!(of(by(&system)).await, picked(&[2]));
    let key = AuditFilter { object_id: Some("key_a".to_owned()), ..AuditFilter::default() };
    assert_eq!(of(key).await, picked(&[3, 1]));
    let actions = vec![Action::SettingsChanged, Action::SecretKeyRevoked];
    assert_eq!(of(AuditFilter { actions, ..AuditFilter::default() }).await, picked(&[3, 2, 0]));
    let acted = Span { from: Some(at(11)), before: Some(at(13)) };
    assert_eq!(of(AuditFilter { acted, ..AuditFilter::default() }).await, picked(&[2, 1]));
    let second = AuditFilter { limit: 1, offset: 1, ..by(&one) };
    let (rows, total) = world.store.audit_log(world.instance, second).await.expect("a list");
    assert_eq!((rows, total), (picked(&[0]), 2));
}

pub async fn dat_02_the_values_go_with_the_user_and_the_entries_stay(store: Store) {
    let mut world = World::new(store, 1).await;
    let user = world.new_user("Ada", 1);
    let named = Act::on(Action::UserUpdated, user.id).field("first_name", "Ada", "Augusta");
    let set = world.set(2).write(Write::User(user.clone())).act(&context(1), named);
    world.commit(set).await.expect("a new user");
    let changes = vec![FieldChange { field: "x".to_owned(), before: 1.into(), after: 2.into() }];
    act(&mut world, 3, &context(1), Act::on(Action::UserUpdated, "user_else").fields(changes.clone())).await;
    let deleted = world.set(4).write(Write::DeleteUser(user.id));
    world.commit(deleted).await.expect("deleted");
    let filter = AuditFilter { actions: vec![Action::UserUpdated], ..AuditFilter::default() };
    let found = list(&world, filter).await;
    assert_eq!(found[0].changes, Some(changes));
    assert_eq!(
        (&found[1].changes, found[1].fields.as_slice()),
        (&None, ["first_name".to_owned()].as_slice())
    );
}

pub async fn entries_are_purged_by_age(store: Store) {
    let mut world = World::new(store, 1).await;
    for secs in 10..15 {
        act(&mut world, secs, &context(1), Act::on(Action::MailsRetried, "x")).await;
    }
    let purge = async |secs| world.store.purge_audit_log(world.instance, at(secs), 2).await.expect("purged");
    while purge(12).await > 0 {}
    let left =
        list(&world, AuditFilter { actions: vec![Action::MailsRetried], ..AuditFilter::default() }).await;
    assert_eq!(left.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(14), at(13)]);
}
