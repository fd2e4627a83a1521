//! What is left of a person after the deletion of the account, once retention is over.

mod common;

use common::{World, at};
use sojourn_core::{
    email::Email,
    event::Event,
    id::{MailId, SignUpId, WebhookDeliveryId, WebhookEndpointId},
    outgoing_mail::{MailContent, OutgoingMail},
    session::ClosedStatus,
    sign_up::SignUp,
    time::{Moment, Timestamp, days, minutes},
    webhook::{WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{ArchiveNotes, Database, Engine as _, Store, StoredWebhookDelivery, Write};

const NAME: &str = "Hildegard";
const EMAIL: &str = "hildegard@example.com";

/// All rows as text.
async fn everything(database: &Database) -> String {
    let notes = ArchiveNotes {
        created_at: Timestamp::from_secs(1),
        program: String::new(),
        master_key_check: None,
        master_key: None,
    };
    let snapshot = database.snapshot().await.expect("a snapshot");
    String::from_utf8(snapshot.write(notes, Vec::new()).await.expect("an archive").1).expect("text")
}

/// Writes everything that the server stores about a person.
async fn live(world: &mut World) -> sojourn_core::user::User {
    let user = world.user(NAME, 1).await;
    let client = world.client(1).await;
    world.sign_in(client, user.id, 2).await;
    let mut sign_up = SignUp::new(SignUpId::generate(at(2), &mut world.rng), client, at(2));
    sign_up.fields.email = Some(Email::parse(EMAIL).expect("an address"));
    world.put(2, Write::SignUp(sign_up)).await.expect("an attempt");
    let mail = world.mail(EMAIL, 3);
    world.put(3, Write::Mail(mail)).await.expect("a mail");
    let id = MailId::generate(at(3), &mut world.rng);
    let content = MailContent { subject: NAME.to_owned(), text: NAME.to_owned(), html: NAME.to_owned() };
    let mail = OutgoingMail::new(id, "test", EMAIL, content, at(3), minutes(10));
    world.put(3, Write::OutgoingMail(mail)).await.expect("queued");
    let id = WebhookEndpointId::generate(at(3), &mut world.rng);
    let endpoint = WebhookEndpoint::new(id, "https://example.org/".to_owned(), vec![1], at(3));
    world.put(3, Write::WebhookEndpoint(endpoint.clone())).await.expect("a new endpoint");
    let row = WebhookDelivery::new(
        WebhookDeliveryId::generate(at(3), &mut world.rng),
        &endpoint,
        "user.updated",
        at(3),
    );
    let delivery = StoredWebhookDelivery {
        delivery: WebhookDelivery { user_id: Some(user.id), seq: 1, ..row },
        body: format!("{{\"first_name\":\"{NAME}\"}}"),
    };
    world.put(3, Write::InsertWebhookDelivery(delivery)).await.expect("queued");
    user
}

#[tokio::test]
async fn dat_02_no_table_keeps_a_deleted_person_after_retention() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dev.db");
    let database = Database::File(path.clone());
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let user = live(&mut world).await;
    let stored = everything(&database).await;
    let tables = ["users", "identifiers", "sign_ups", "mails", "outgoing_mails", "webhook_deliveries"];
    for table in tables {
        let rows = stored.split_once(&format!("\"table\":\"{table}\"")).expect("archived").1;
        let rows = rows.split("\"table\":").next().expect("rows");
        assert!(rows.contains(NAME) || rows.contains(EMAIL), "{table} shows that the test finds it");
    }

    let (sessions, _) = {
        let filter = sojourn_store::SessionFilter { user_id: Some(user.id), limit: 10, ..Default::default() };
        world.store.sessions(world.instance, filter).await.expect("a load")
    };
    let user = world.load_user(user.id).await;
    let mut set = world.set(10);
    for session in &sessions {
        set = set.write(Write::CloseSession(common::closed(session, 10, ClosedStatus::Revoked)));
    }
    let set = set.write(Write::DeleteUser(user.id)).event(Event::UserDeleted(user.id));
    world.commit(set).await.expect("deleted");
    // Ended sessions are kept for 90 days by default, all else for less.
    let later = at(20) + days(91);
    while world.store.purge(Moment::real(later), 100).await.expect("purged") > 0 {}
    while world.store.purge_sessions(world.instance, later - days(90), 100).await.expect("purged") > 0 {}
    let left = everything(&database).await;
    let lines: Vec<&str> = left.lines().filter(|line| line.to_lowercase().contains("hildegard")).collect();
    assert_eq!(lines, Vec::<&str>::new());
    assert!(!left.contains("Firefox"), "devices are gone with their sessions");
}
