//! Outgoing mail: its stored facts, when delivery is retried, and when delivery fails.
//!
//! All times are on the wall clock: mail is delivered to other machines, whose clocks a test cannot
//! change.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    id::{MailId, Randomness},
    time::{Timestamp, days, minutes, seconds},
};

/// How long delivery of a notice is attempted. A mail with a code is attempted while the code is
/// valid.
pub const NOTICE_LIFETIME: Duration = days(1);
/// The maximum number of attempts, whatever the age of the mail.
pub const MAX_TRIES: u32 = 25;
/// The delay after the first failed attempt. It doubles with each further one, up to
/// [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = seconds(5);
/// The maximum delay. A greylisting server accepts a mail after some minutes, and longer delays
/// would not help a server that is down.
const LONGEST_WAIT: Duration = minutes(60);
/// The number of characters of the server's reply that are stored.
const REPLY_CHARS: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// The source of the Message-ID, so that all attempts have the same one.
    pub id: MailId,
    /// Incremented by every stored change.
    pub version: u64,
    pub to: String,
    /// The name of the template.
    pub template: String,
    pub status: MailStatus,
    /// The number of started attempts.
    pub tries: u32,
    pub queued_at: Timestamp,
    /// The mail is not sent after this time.
    pub expires_at: Timestamp,
    /// When the next step is due: an attempt, or the deletion of the content.
    pub due_at: Option<Timestamp>,
    /// Whether a node is sending the mail, until `due_at` at most.
    pub is_claimed: bool,
    /// When the mail was sent or failed.
    pub finished_at: Option<Timestamp>,
    /// The last reply of the mail server, or the reason why it could not be reached.
    pub reply: Option<String>,
    /// `None` after the mail was sent or has expired.
    pub content: Option<MailContent>,
}

/// The content of a mail. It contains codes, so `Debug` never prints it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailContent {
    /// A single line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

impl fmt::Debug for MailContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailContent(***)")
    }
}

/// The status of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// To be sent, or being sent.
    Queued,
    /// The mail server accepted the mail.
    Sent,
    /// Rejected permanently, attempted too often, or expired.
    Failed,
}

impl MailStatus {
    /// All statuses, in the order in which they occur.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Sent, Self::Failed];

    /// The value in the database, on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Parses the value.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The server accepted the mail.
    Taken(String),
    /// The server rejected the mail permanently (a 5xx reply).
    Refused(String),
    /// A temporary failure.
    NotNow(String),
}

/// The next step of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The mail is claimed: store it, then send it.
    Send,
    /// Store the mail; do not send it.
    Store,
}

/// Why a mail is not attempted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRefused {
    /// The mail server accepted it.
    IsSent,
    /// A node is sending it.
    IsBeingSent,
    /// The mail, and its code, have expired.
    IsExpired,
}

impl OutgoingMail {
    /// A mail that is due at once and expires after `lifetime`.
    pub fn new(
        id: MailId,
        template: &str,
        to: &str,
        content: MailContent,
        wall: Timestamp,
        lifetime: Duration,
    ) -> Self {
        Self {
            id,
            version: 0,
            to: to.to_owned(),
            template: template.to_owned(),
            status: MailStatus::Queued,
            tries: 0,
            queued_at: wall,
            expires_at: wall + lifetime,
            due_at: Some(wall),
            is_claimed: false,
            finished_at: None,
            reply: None,
            content: Some(content),
        }
    }

    /// Returns the next step if it is due. A node that claims the mail must record the result
    /// within `hold`; after that another node may claim it.
    pub fn take(&mut self, wall: Timestamp, hold: Duration) -> Option<Due> {
        if self.due_at.is_none_or(|due_at| wall < due_at) {
            return None;
        }
        match self.status {
            MailStatus::Queued if wall < self.expires_at && self.content.is_some() => {
                self.tries = self.tries.saturating_add(1);
                self.is_claimed = true;
                self.due_at = Some(wall + hold);
                Some(Due::Send)
            }
            MailStatus::Queued => {
                let reply = self.reply.take();
                self.give_up(wall, reply.as_deref().unwrap_or("it was too old before it could be sent"));
                Some(Due::Store)
            }
            MailStatus::Sent | MailStatus::Failed => {
                self.content = None;
                self.due_at = None;
                Some(Due::Store)
            }
        }
    }

    /// Records the result of an attempt.
    pub fn note(&mut self, wall: Timestamp, attempt: Attempt, random: &mut dyn Randomness) {
        self.is_claimed = false;
        match attempt {
            Attempt::Taken(reply) => {
                self.status = MailStatus::Sent;
                self.finished_at = Some(wall);
                self.due_at = None;
                self.content = None;
                self.reply = Some(plain(&reply));
            }
            Attempt::Refused(reply) => self.give_up(wall, &reply),
            Attempt::NotNow(reply) => {
                let next = wall + wait_after(self.tries, random);
                if self.tries >= MAX_TRIES || next >= self.expires_at {
                    self.give_up(wall, &reply);
                } else {
                    self.due_at = Some(next);
                    self.reply = Some(plain(&reply));
                }
            }
        }
    }

    /// Marks the mail as failed. Its content is kept until it expires, so that an administrator can
    /// request another attempt.
    fn give_up(&mut self, wall: Timestamp, reply: &str) {
        self.status = MailStatus::Failed;
        self.is_claimed = false;
        self.finished_at = Some(wall);
        self.reply = Some(plain(reply));
        if wall < self.expires_at {
            self.due_at = Some(self.expires_at);
        } else {
            self.due_at = None;
            self.content = None;
        }
    }

    /// Requests another attempt at once.
    ///
    /// # Errors
    /// [`RetryRefused`].
    pub fn retry(&mut self, wall: Timestamp) -> Result<(), RetryRefused> {
        if self.status == MailStatus::Sent {
            return Err(RetryRefused::IsSent);
        }
        if self.is_claimed && self.due_at.is_some_and(|due_at| wall < due_at) {
            return Err(RetryRefused::IsBeingSent);
        }
        if wall >= self.expires_at || self.content.is_none() {
            return Err(RetryRefused::IsExpired);
        }
        self.status = MailStatus::Queued;
        self.tries = 0;
        self.is_claimed = false;
        self.finished_at = None;
        self.due_at = Some(wall);
        Ok(())
    }
}

/// The delay after the attempt with this number: doubled each time, plus or minus a fifth at
/// random, so that mails that failed together are not attempted together.
fn wait_after(tries: u32, random: &mut dyn Randomness) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    let mut bytes = [0; 2];
    random.fill(&mut bytes);
    let (whole, dice) = (doubled.as_millis() as u64, u64::from(u16::from_le_bytes(bytes)));
    Duration::from_millis(whole * 4 / 5 + whole * 2 / 5 * dice / u64::from(u16::MAX))
}

/// The reply in one line of bounded length.
fn plain(reply: &str) -> String {
    let line = reply.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    line.collect::<Vec<_>>().join(" ").chars().take(REPLY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::CODE_LIFETIME;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOLD: Duration = seconds(60);

    /// Always the same byte.
    struct Dice(u8);

    impl Randomness for Dice {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn mail(lifetime: Duration) -> OutgoingMail {
        let content = MailContent {
            subject: "Hello".to_owned(),
            text: "424242".to_owned(),
            html: "<b>424242</b>".to_owned(),
        };
        let id = MailId::generate(START, &mut Dice(0));
        OutgoingMail::new(id, "verification_code", "ada@example.com", content, START, lifetime)
    }

    fn not_now() -> Attempt {
        Attempt::NotNow("451 later".to_owned())
    }

    /// Attempts delivery at each due time until it fails; returns the seconds since the start.
    fn tries_of(mut mail: OutgoingMail, dice: u8) -> (Vec<u64>, OutgoingMail) {
        let mut times = Vec::new();
        while mail.status == MailStatus::Queued {
            let at = mail.due_at.expect("queued mail is due some time");
            assert_eq!(mail.take(at, HOLD), Some(Due::Send));
            times.push(at.since(START).as_secs());
            mail.note(at, not_now(), &mut Dice(dice));
        }
        (times, mail)
    }

    #[test]
    fn a_code_is_tried_again_while_it_is_good() {
        let (times, mail) = tries_of(mail(CODE_LIFETIME), 127);
        assert_eq!(times, [0, 4, 14, 34, 74, 154, 314]);
        assert_eq!((mail.status, mail.reply.as_deref()), (MailStatus::Failed, Some("451 later")));
        assert_eq!(mail.due_at, Some(START + CODE_LIFETIME), "then its content goes");
    }

    #[test]
    fn a_notice_is_tried_each_hour_for_a_day_at_most() {
        let (times, _) = tries_of(mail(NOTICE_LIFETIME), 255);
        assert!(times.len() as u32 <= MAX_TRIES && times.len() > 20, "{times:?}");
        let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits[0], 6);
        assert!(waits.iter().all(|wait| *wait <= 72 * 60), "{waits:?}");
        assert!(times.last().is_some_and(|last| *last < NOTICE_LIFETIME.as_secs()));
    }

    #[test]
    fn mails_that_fail_together_wait_differently_long() {
        for tries in 1..MAX_TRIES {
            let (short, long) = (wait_after(tries, &mut Dice(0)), wait_after(tries, &mut Dice(255)));
            assert_eq!(short * 3, long * 2, "from four to six fifths");
        }
    }

    #[test]
    fn a_refusal_for_good_is_not_tried_again() {
        let mut mail = mail(CODE_LIFETIME);
        mail.take(START, HOLD);
        mail.note(START, Attempt::Refused("550 no such user\r\nhere".to_owned()), &mut Dice(0));
        assert_eq!((mail.status, mail.tries), (MailStatus::Failed, 1));
        assert_eq!(mail.reply.as_deref(), Some("550 no such user here"));
        assert!(mail.take(START + HOLD, HOLD).is_none());
    }

    #[test]
    fn what_was_sent_keeps_no_content() {
        let mut mail = mail(CODE_LIFETIME);
        assert_eq!(mail.take(START, HOLD), Some(Due::Send));
        mail.note(START, Attempt::Taken("250 ok".to_owned()), &mut Dice(0));
        assert_eq!((mail.status, mail.due_at, &mail.content), (MailStatus::Sent, None, &None));
    }

    #[test]
    fn a_code_that_is_over_is_not_sent() {
        let mut mail = mail(CODE_LIFETIME);
        assert_eq!(mail.take(START + CODE_LIFETIME, HOLD), Some(Due::Store));
        assert_eq!((mail.status, mail.tries, &mail.content), (MailStatus::Failed, 0, &None));
    }

    #[test]
    fn who_claimed_it_and_is_gone_is_replaced() {
        let mut mail = mail(CODE_LIFETIME);
        assert_eq!(mail.take(START, HOLD), Some(Due::Send));
        assert_eq!(mail.take(START + seconds(59), HOLD), None);
        assert_eq!(mail.retry(START + seconds(59)), Err(RetryRefused::IsBeingSent));
        assert_eq!(mail.take(START + HOLD, HOLD), Some(Due::Send));
        assert_eq!(mail.tries, 2);
    }

    #[test]
    fn a_failed_mail_is_tried_again_on_request_only_while_good() {
        let mut mail = mail(CODE_LIFETIME);
        mail.take(START, HOLD);
        mail.note(START, Attempt::Refused("550 no".to_owned()), &mut Dice(0));
        let mut late = mail.clone();
        assert_eq!(mail.retry(START + HOLD), Ok(()));
        assert_eq!((mail.status, mail.tries, mail.due_at), (MailStatus::Queued, 0, Some(START + HOLD)));
        assert_eq!(late.take(START + CODE_LIFETIME, HOLD), Some(Due::Store));
        assert_eq!(late.content, None);
        assert_eq!(late.retry(START + CODE_LIFETIME), Err(RetryRefused::IsExpired));
    }

    #[test]
    fn what_a_mail_says_is_not_in_its_debug_text() {
        assert!(!format!("{:?}", mail(CODE_LIFETIME)).contains("424242"));
    }
}
