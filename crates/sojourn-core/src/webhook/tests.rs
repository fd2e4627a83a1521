use super::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOLD: Duration = seconds(30);

/// Always the same byte.
struct Same(u8);

impl Randomness for Same {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn endpoint() -> WebhookEndpoint {
    let id = WebhookEndpointId::generate(START, &mut Same(0));
    WebhookEndpoint::new(id, "https://example.com/hook".to_owned(), vec![1], START)
}

fn delivery() -> WebhookDelivery {
    let id = WebhookDeliveryId::generate(START, &mut Same(0));
    WebhookDelivery::new(id, &endpoint(), "user.created", START)
}

fn answered(at: Timestamp, status: u16) -> WebhookAttempt {
    WebhookAttempt { at, duration_ms: 1, http_status: Some(status), answer: None, error: None }
}

/// Attempts until the delivery is given up; the seconds since the start.
fn attempts_of(byte: u8) -> Vec<u64> {
    let (mut delivery, mut times) = (delivery(), Vec::new());
    while let Some(at) = delivery.due_at {
        assert_eq!(delivery.take(at, HOLD), Some(Taken::Send));
        times.push(at.since(START).as_secs());
        delivery.note(at, answered(at, 500), &mut Same(byte));
    }
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    times
}

#[test]
fn an_endpoint_gets_the_vendors_events_unless_it_names_others() {
    let mut endpoint = endpoint();
    assert!(VENDOR_EVENTS.iter().all(|event| endpoint.wants(event)));
    assert!(!OWN_EVENTS.iter().any(|event| endpoint.wants(event)));
    assert!(!endpoint.wants("session_settings.changed"));
    endpoint.events = vec!["session.expired".to_owned()];
    assert!(endpoint.wants("session.expired") && !endpoint.wants("session.created"));
    endpoint.set_enabled(false);
    assert!(!endpoint.wants("session.expired"));
}

#[test]
fn a_failing_delivery_is_attempted_nine_times_within_two_days() {
    let times = attempts_of(0);
    assert_eq!(times.len(), WAITS.len() + 1);
    assert_eq!(times[..4], [0, 4, 274, 1894], "at 90 % of the schedule");
    let late = attempts_of(255);
    assert_eq!(late[1..3], [5, 335], "at 110 %");
    let hours = late.last().expect("attempts") / 3600;
    assert!((33..42).contains(&hours), "the last attempt is after {hours} hours");
    assert!(late.last().is_some_and(|last| *last < DELIVERY_LIFETIME.as_secs()));
}

#[test]
fn a_delivery_whose_claimer_is_gone_is_attempted_by_another() {
    let mut delivery = delivery();
    assert_eq!(delivery.take(START, HOLD), Some(Taken::Send));
    assert_eq!(delivery.take(START + seconds(29), HOLD), None);
    assert_eq!(delivery.queue_again(START + seconds(29)), Err(IsUnderWay));
    let id = delivery.id;
    assert_eq!(delivery.take(START + HOLD, HOLD), Some(Taken::Send));
    assert_eq!((delivery.id, delivery.attempts), (id, 2));
}

#[test]
fn a_delivery_that_waited_too_long_is_given_up_unattempted() {
    let mut delivery = delivery();
    assert_eq!(delivery.take(START + DELIVERY_LIFETIME, HOLD), Some(Taken::Store));
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Failed, 0));
    assert!(delivery.last_attempt.as_ref().is_some_and(|attempt| attempt.error.is_some()));
    assert_eq!(delivery.queue_again(START + days(4)), Ok(()));
    assert_eq!(delivery.take(START + days(4), HOLD), Some(Taken::Send));
}

#[test]
fn only_a_response_between_200_and_299_is_a_success() {
    for (status, outcome) in [
        (200, Outcome::Delivered),
        (204, Outcome::Delivered),
        (199, Outcome::Failed),
        (301, Outcome::Failed),
        (404, Outcome::Failed),
        (410, Outcome::Gone),
    ] {
        assert_eq!(answered(START, status).outcome(), outcome, "{status}");
    }
}

#[test]
fn an_endpoint_is_disabled_after_five_days_without_a_success() {
    let mut endpoint = endpoint();
    assert!(endpoint.note(Outcome::Failed, START));
    assert!(!endpoint.note(Outcome::Failed, START + days(4)));
    assert!(endpoint.note(Outcome::Delivered, START + days(4)));
    assert!(endpoint.note(Outcome::Failed, START + days(5)));
    assert!(!endpoint.note(Outcome::Failed, START + days(10) - seconds(1)));
    assert!(endpoint.note(Outcome::Failed, START + days(10)));
    assert_eq!(endpoint.disabled, Some(Disabled::Failing));
    endpoint.set_enabled(true);
    assert!(endpoint.note(Outcome::Failed, START + days(11)));
    assert_eq!(endpoint.disabled, None, "the five days begin again");
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let (mut endpoint, mut delivery) = (endpoint(), delivery());
    delivery.take(START, HOLD);
    let outcome = delivery.note(START, answered(START, 410), &mut Same(0));
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    assert!(endpoint.note(outcome, START));
    assert_eq!(endpoint.disabled, Some(Disabled::Gone));
}

#[test]
fn whk_01_a_rotation_leaves_two_secrets_until_the_overlap_ends() {
    let mut endpoint = endpoint();
    let sealed = |endpoint: &WebhookEndpoint, wall| -> Vec<u8> {
        endpoint.valid_secrets(wall).map(|secret| secret.sealed[0]).collect()
    };
    endpoint.rotate_secret(vec![2], days(1), START);
    assert_eq!(sealed(&endpoint, START), [2, 1]);
    assert_eq!(sealed(&endpoint, START + days(1)), [2]);
    endpoint.rotate_secret(vec![3], days(1), START);
    assert_eq!(sealed(&endpoint, START), [3, 2], "never three");
    endpoint.rotate_secret(vec![4], Duration::ZERO, START);
    assert_eq!(sealed(&endpoint, START), [4]);
}

#[test]
fn an_excerpt_is_one_short_line() {
    assert_eq!(excerpt(" <h1>\r\n\tOops\0</h1> "), "<h1> Oops </h1>");
    assert_eq!(excerpt(&"ä".repeat(500)).chars().count(), ANSWER_CHARS);
}
