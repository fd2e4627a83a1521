//! Users and their identifiers.

use sojourn_core::{
    client::{SignOutScope, sign_out},
    email::Email,
    event::Event,
    id::EmailAddressId,
    session::{EndReason, EndedBy, Ending},
};
use sojourn_store::{CommitError, Engine as _, Expect, Store, UserFilter, Write};

use crate::{
    common::{World, at, moment},
    is_conflict,
};

pub async fn a_row_is_written_only_if_its_version_is_the_stored_one(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    assert_eq!(ada.version, 1);
    let mut renamed = ada.clone();
    renamed.first_name = Some("Augusta".to_owned());
    world.put(2, Write::User(renamed.clone())).await.expect("version 1 is the stored one");
    let late = world.put(3, Write::User(ada.clone())).await;
    assert!(is_conflict(&late), "{late:?}");
    let mut anew = ada.clone();
    anew.version = 0;
    let anew = world.put(4, Write::User(anew)).await;
    assert!(is_conflict(&anew), "{anew:?}");
    renamed.version = 2;
    assert_eq!(world.load_user(ada.id).await, renamed);
}

pub async fn an_address_or_external_id_belongs_to_one_user(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut ada = world.user("Ada", 1).await;
    let twin = world.new_user("Ada", 2);
    let taken = world.put(2, Write::User(twin)).await;
    assert!(matches!(taken, Err(CommitError::Taken("email_address"))), "{taken:?}");
    ada.external_id = Some("17".to_owned());
    world.put(3, Write::User(ada.clone())).await.expect("free");
    let mut eve = world.user("Eve", 4).await;
    eve.external_id = Some("17".to_owned());
    let taken = world.put(5, Write::User(eve.clone())).await;
    assert!(matches!(taken, Err(CommitError::Taken("external_id"))), "{taken:?}");
    // An identifier that a user gives up is free again.
    let mut ada = world.load_user(ada.id).await;
    ada.external_id = None;
    let address = ada.email_addresses.remove(0);
    world.put(6, Write::User(ada)).await.expect("given up");
    eve.email_addresses.push(address);
    world.put(7, Write::User(eve.clone())).await.expect("free again");
    let email = Email::parse("ada@example.com").expect("an address");
    let found = world.store.user_by_email(world.instance, &email).await.expect("a load");
    assert_eq!(found.map(|user| user.id), Some(eve.id));
}

pub async fn an_added_address_identifies_nobody_until_it_is_verified(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut eve = world.user("Eve", 1).await;
    let email = Email::parse("ada@example.com").expect("an address");
    let id = EmailAddressId::generate(at(2), &mut world.rng);
    eve.add_unverified_email(id, email.clone(), at(2)).expect("room for a second");
    world.put(2, Write::User(eve.clone())).await.expect("added");
    let owner = async |world: &World| {
        let found = world.store.user_by_email(world.instance, &email).await.expect("a load");
        let filter = UserFilter { emails: vec![email.clone()], limit: 10, ..UserFilter::default() };
        let (listed, _) = world.store.users(world.instance, filter).await.expect("a list");
        let found = found.map(|user| user.id);
        assert_eq!(listed.iter().map(|user| user.id).collect::<Vec<_>>(), Vec::from_iter(found));
        found
    };
    assert_eq!(owner(&world).await, None);
    let ada = world.user("Ada", 3).await;
    assert_eq!(owner(&world).await, Some(ada.id));
    // Changes of Eve's account do not affect Ada's address.
    let eve_id = eve.id;
    let mut eve = world.load_user(eve_id).await;
    eve.first_name = Some("Eva".to_owned());
    world.put(4, Write::User(eve)).await.expect("renamed");
    assert_eq!(owner(&world).await, Some(ada.id));
    let mut eve = world.load_user(eve_id).await;
    eve.email_addresses[1].verified_by = Some("email_code".to_owned());
    let taken = world.put(5, Write::User(eve)).await;
    assert!(matches!(taken, Err(CommitError::Taken("email_address"))), "{taken:?}");
    assert_eq!(owner(&world).await, Some(ada.id));
    // The deletion of Eve's account does not free Ada's identifiers.
    world.put(6, Write::DeleteUser(eve_id)).await.expect("deleted");
    assert_eq!(owner(&world).await, Some(ada.id));
}

pub async fn one_address_in_two_spellings_is_one_users(store: Store) {
    let mut world = World::new(store, 1).await;
    let [typed, other] = ["ada@bücher.example", "ada@xn--bcher-kva.example"]
        .map(|text| Email::parse(text).expect("an address"));
    let mut ada = world.new_user("Ada", 1);
    ada.email_addresses[0].email = typed.clone();
    world.put(1, Write::User(ada.clone())).await.expect("free");
    for email in [&typed, &other] {
        let found = world.store.user_by_email(world.instance, email).await.expect("a load").expect("known");
        assert_eq!((found.id, found.email_addresses[0].email.as_str()), (ada.id, "ada@bücher.example"));
        let filter = UserFilter { emails: vec![email.clone()], limit: 10, ..UserFilter::default() };
        let (listed, count) = world.store.users(world.instance, filter).await.expect("a list");
        assert_eq!((listed.len(), count), (1, 1), "{email:?}");
    }
    let mut twin = world.new_user("Eve", 2);
    twin.email_addresses[0].email = other.clone();
    let taken = world.put(2, Write::User(twin.clone())).await;
    assert!(matches!(taken, Err(CommitError::Taken("email_address"))), "{taken:?}");
    // Stored again, then removed: both spellings are free.
    let mut ada = world.load_user(ada.id).await;
    world.put(3, Write::User(ada.clone())).await.expect("its own");
    ada = world.load_user(ada.id).await;
    ada.email_addresses.clear();
    world.put(4, Write::User(ada)).await.expect("given up");
    world.put(5, Write::User(twin)).await.expect("free again");
}

pub async fn a_decision_about_a_user_that_changed_is_refused(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let step = world.admission(client, ada.id, 3).await;
    let sign_in =
        world.set(3).expect(Expect::User(ada.id, ada.version)).expect(Expect::Settings(1)).browser(&step);
    let mut banned = ada.clone();
    banned.banned = true;
    world.put(3, Write::User(banned)).await.expect("banned meanwhile");
    let outcome = world.commit(sign_in).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(world.browser(client).await.browser.sessions, []);
    let other_settings = world.set(4).expect(Expect::Settings(2)).event(Event::UserUpdated(ada.id));
    let outcome = world.commit(other_settings).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
}

pub async fn a_deleted_user_leaves_no_open_session_and_no_address(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    world.sign_in(client, ada.id, 3).await;
    let alone = world.put(4, Write::DeleteUser(ada.id)).await;
    assert!(is_conflict(&alone), "{alone:?}");
    let record = world.browser(client).await;
    let ending = Ending::revoked(EndReason::UserDeleted, EndedBy::Backend);
    let step = sign_out(moment(5), &record.policy, &record.browser, SignOutScope::User(ada.id), ending, None);
    let set = world.set(5).write(Write::DeleteUser(ada.id)).browser(&step);
    world.commit(set).await.expect("deleted with its sessions");
    assert_eq!(world.store.user(world.instance, ada.id).await.expect("a load"), None);
    assert_eq!(world.browser(client).await.browser.sessions, []);
    world.user("Ada", 6).await;
    let gone = world.put(7, Write::DeleteUser(ada.id)).await;
    assert!(is_conflict(&gone), "{gone:?}");
}
