//! Mail on its way out: what is stored of it, when it is tried again, and when it is given up.
//!
//! All times are on the wall: mail leaves the machine, and nobody moves the clock of its readers.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    id::{MailId, Randomness},
    time::{Timestamp, days, minutes, seconds},
};

/// How long a mail that tells something is tried. One with a code is tried as long as the code is good.
pub const NOTICE_LIFETIME: Duration = days(1);
/// Tries after which a mail is given up, however young it is.
pub const MAX_TRIES: u32 = 25;
/// Wait after the first failed try. It doubles with each further one, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = seconds(5);
/// A greylisting server is content after some minutes, and a server that is down is not
/// helped by more than this.
const LONGEST_WAIT: Duration = minutes(60);
/// Characters kept of what the server said.
const REPLY_CHARS: usize = 500;

/// One mail on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// Its id. The Message-ID is made of it, so each try has the same.
    pub id: MailId,
    /// Counts its changes.
    pub version: u64,
    /// Whom it is for.
    pub to: String,
    /// The name of the template it was made of.
    pub template: String,
    /// How far it is.
    pub status: MailStatus,
    /// Tries begun so far.
    pub tries: u32,
    /// When it was written.
    pub queued_at: Timestamp,
    /// Not sent any more from then on.
    pub expires_at: Timestamp,
    /// When something is to be done about it: a try, or the removal of its content.
    pub due_at: Option<Timestamp>,
    /// Whether somebody tries right now, until `due_at` at the latest.
    pub is_claimed: bool,
    /// When it was sent or given up.
    pub finished_at: Option<Timestamp>,
    /// What the mail server said last, or why it could not be asked.
    pub reply: Option<String>,
    /// What it says; gone once it was sent or is too old.
    pub content: Option<MailContent>,
}

/// What a mail says. Its texts hold codes, so they are never written by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailContent {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// For the others.
    pub html: String,
}

impl fmt::Debug for MailContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailContent(***)")
    }
}

/// How far a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// It is to be sent, or somebody is at it.
    Queued,
    /// The mail server has taken it.
    Sent,
    /// It was given up: refused for good, tried too often, or too old.
    Failed,
}

impl MailStatus {
    /// All, in the order of a mail's life.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Sent, Self::Failed];

    /// The word in the database, on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The status of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The server has taken it.
    Taken(String),
    /// The server refuses this mail, and would do so again (a 5xx reply).
    Refused(String),
    /// It did not work this time.
    NotNow(String),
}

/// What has to happen before the mail can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It is claimed: store it, then send it.
    Send,
    /// Store it; it is not sent.
    Store,
}

/// Why a mail is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRefused {
    /// The mail server has taken it.
    IsSent,
    /// Somebody tries right now.
    IsBeingSent,
    /// It is too old, as its code is.
    IsExpired,
}

impl OutgoingMail {
    /// A mail that is to be sent at once, and not any more after `lifetime`.
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

    /// What is to be done about it, for who does it; nothing if it is not due. Who claims
    /// it has `hold` to tell what the try came to; then it is somebody else's.
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

    /// Notes what a try came to.
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

    /// Its content stays as long as somebody may ask for another try.
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

    /// Somebody asks for another try, now.
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

/// How long to wait after the try of this number: doubled each time, give or take a fifth,
/// so that mails that failed together are not tried together.
fn wait_after(tries: u32, random: &mut dyn Randomness) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    let mut bytes = [0; 2];
    random.fill(&mut bytes);
    let (whole, dice) = (doubled.as_millis() as u64, u64::from(u16::from_le_bytes(bytes)));
    Duration::from_millis(whole * 4 / 5 + whole * 2 / 5 * dice / u64::from(u16::MAX))
}

/// One line that fits a table, whatever the server said.
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

    /// Tries at each due time until it is given up; the seconds since the beginning.
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
