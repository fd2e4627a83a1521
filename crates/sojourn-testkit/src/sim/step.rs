//! What can happen in a simulated world, as plain data: made from a seed, told
//! to people, left out one by one when a run is made shorter.

use sojourn_core::testing::SeededRng;

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub struct Story {
    /// What it was made from.
    pub seed: u64,
    /// How many nodes serve the instance. With one node, requests come one after
    /// the other and everything has to be exact.
    pub nodes: usize,
    /// Whether a browser may hold several accounts at the beginning.
    pub multi_session: bool,
    /// The limits at the beginning, in milliseconds.
    pub limits: Choice,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Session settings to put into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Seconds of the inactivity timeout.
    pub idle: Option<u64>,
    /// Seconds of the maximum lifetime.
    pub longest: Option<u64>,
    /// Several accounts per browser; `None` leaves it.
    pub multi_session: Option<bool>,
    /// Seconds that ended sessions are kept.
    pub kept: u64,
    /// Only visible tabs count as activity.
    pub visible: bool,
    /// Everybody is signed out with it.
    pub ends_all: bool,
}

/// One thing that happens. Numbers name things modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Wait { millis: i64 },
    /// Time passes up to the end of an open session, give or take.
    WaitFor { session: usize, off: i64 },
    /// Somebody asks something of a node.
    Asked { node: usize, browser: usize, ask: Ask, way: Way },
    /// A request that is under way goes on; its answer arrives where it has gone all the way.
    Go { request: usize, until: Until },
    /// The settings change. An audit counts what the change then ends.
    Settings { node: usize, choice: Choice, audit: bool },
    /// The test clock is moved.
    Clock { node: usize, turn: Turn },
    /// A node is gone with all it had in memory, and starts again.
    Crash { node: usize },
    /// A node is stopped cleanly, and starts again.
    Restart { node: usize },
    /// A machine's clock is wrong by so much from now on.
    Skew { node: usize, millis: i64 },
    /// A node's activity is taken to be written, and does not arrive for now.
    HoldActivity { node: usize },
    /// It arrives after all.
    WriteHeld { node: usize },
    /// The browser has no cookies any more.
    LoseCookies { browser: usize },
    /// The browser has the cookie of before again: a restored profile.
    OldCookie { browser: usize, age: usize },
    /// The application's server makes a ticket.
    Ticket { user: usize },
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A browser signs in; with `acting`, somebody else as that user.
    SignIn { user: usize, acting: bool },
    /// A browser signs in with a ticket.
    SignInWithTicket { ticket: usize },
    /// A browser that never got the answer to its last sign-in proves the same account again:
    /// by the same ticket, or `anew` by another.
    ProveAgain { anew: bool },
    /// A tab asks for a token.
    Token { session: usize, hidden: bool },
    /// A tab comes to the front.
    Touch { session: usize },
    /// A page loads.
    Load,
    /// A navigation fetches a nonce.
    Handshake,
    /// A tab reads its session.
    Read { session: usize },
    /// Out of one.
    SignOut { session: usize },
    /// Out of one, which stays known.
    End { session: usize },
    /// Out of all.
    SignOutAll,
    /// The application redeems a nonce.
    Redeem { nonce: usize },
    /// The application asks for a token.
    Mint { session: usize },
    /// The application revokes a session.
    Revoke { session: usize },
    /// The application looks at a session.
    Look { session: usize },
    /// The application bans a user.
    Ban { user: usize },
    /// And lifts the ban.
    Unban { user: usize },
    /// A user changes the password and ends the sessions elsewhere.
    Password { session: usize },
    /// The sweeper records what is over.
    Sweep,
    /// Ended sessions leave after their time.
    Purge,
}

/// How a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nobody comes in between.
    AtOnce,
    /// So far; it goes on later.
    Held(Until),
    /// As at once, but the answer never arrives.
    AnswerLost,
    /// As at once, but the outcome of each commit was lost, and the same set is sent again.
    SentTwice,
}

/// How far a request goes before others come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many calls of the store are answered.
    Calls(usize),
    /// It has loaded a browser, and acts by what it saw then.
    Loaded,
    /// All the way.
    Answer,
}

/// What is done to the test clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Forward.
    Advance { seconds: u64 },
    /// It stands still.
    Freeze,
    /// It goes on.
    Resume,
    /// It shows the wall again.
    Reset,
}

const IDLES: [Option<u64>; 6] = [None, None, Some(5), Some(60), Some(300), Some(1800)];
const LONGESTS: [Option<u64>; 6] = [None, Some(20), Some(600), Some(3600), Some(86_400), Some(604_800)];

fn any(rng: &mut SeededRng) -> usize {
    usize::try_from(rng.below(1 << 16)).expect("small")
}

fn one_in(rng: &mut SeededRng, n: u64) -> bool {
    rng.below(n) == 0
}

fn pick<T: Copy>(rng: &mut SeededRng, from: &[T]) -> T {
    from[any(rng) % from.len()]
}

impl Choice {
    fn roll(rng: &mut SeededRng) -> Self {
        let (idle, longest) = (pick(rng, &IDLES), pick(rng, &LONGESTS));
        let longest = if idle.is_none() { longest.or(Some(600)) } else { longest };
        let multi_session = pick(rng, &[None, None, Some(true), Some(false)]);
        let kept = pick(rng, &[0, 60, 3600, 600_000]);
        Self { idle, longest, multi_session, kept, visible: one_in(rng, 4), ends_all: one_in(rng, 8) }
    }
}

impl Story {
    /// The story of a seed: always the same.
    pub fn of(seed: u64) -> Self {
        let mut rng = SeededRng::new(seed ^ 0x5eed);
        let nodes = pick(&mut rng, &[1, 1, 2, 2, 3]);
        let multi_session = rng.below(3) > 0;
        let limits = Choice::roll(&mut rng);
        let length = 15 + any(&mut rng) % 40;
        let mut steps = Vec::new();
        while steps.len() < length {
            match rng.below(20) {
                0 if nodes > 1 => steps.extend(Step::race(&mut rng)),
                1 => steps.extend(Step::lost_answer(&mut rng)),
                2 if nodes > 1 => steps.extend(Step::two_tabs(&mut rng)),
                _ => steps.push(Step::roll(&mut rng, nodes)),
            }
        }
        Self { seed, nodes, multi_session, limits, steps }
    }
}

impl Step {
    /// Somebody is there just before the end, somebody else finds the end, and
    /// neither is written yet.
    fn race(rng: &mut SeededRng) -> [Self; 6] {
        let (session, node, browser) = (any(rng), any(rng), any(rng));
        let there = Ask::Token { session: 0, hidden: false };
        let finds = pick(rng, &[Ask::Sweep, Ask::Sweep, Ask::Look { session }, Ask::Load]);
        [
            Self::WaitFor { session, off: pick(rng, &[-1500, -1, -1]) },
            Self::Asked { node, browser, ask: there, way: Way::Held(Until::Loaded) },
            Self::WaitFor { session, off: 0 },
            Self::Asked {
                node: node + any(rng) % 2,
                browser: any(rng),
                ask: finds,
                way: Way::Held(Until::Loaded),
            },
            Self::Go { request: any(rng), until: Until::Answer },
            Self::Go { request: any(rng), until: Until::Answer },
        ]
    }

    /// Two tabs of a browser change it at the same time, on two nodes or on one.
    fn two_tabs(rng: &mut SeededRng) -> [Self; 4] {
        let (node, browser) = (any(rng), any(rng));
        let mut changes = |node| {
            let user = any(rng);
            let sign_in = Ask::SignIn { user, acting: false };
            let ask = pick(rng, &[sign_in, sign_in, Ask::SignOutAll, Ask::SignOut { session: user }]);
            // A sign-in has proved its ticket then; what others do may be over.
            let calls = 7 + any(rng) % 4;
            let until = pick(rng, &[Until::Loaded, Until::Calls(calls)]);
            Self::Asked { node, browser, ask, way: Way::Held(until) }
        };
        let [first, second] = [node, node + node % 2].map(&mut changes);
        [
            first,
            second,
            Self::Go { request: any(rng), until: Until::Answer },
            Self::Go { request: any(rng), until: Until::Answer },
        ]
    }

    /// A browser never gets the answer to a sign-in, tries what its old cookie is good for,
    /// and proves the account again, twice where that answer is lost as well.
    fn lost_answer(rng: &mut SeededRng) -> [Self; 6] {
        let (node, browser, user) = (any(rng), any(rng), any(rng));
        let asked = |node, ask, way| Self::Asked { node, browser, ask, way };
        let later = |rng: &mut SeededRng| Self::Wait { millis: pick(rng, &[1, 500, 5000, 29_000, 31_000]) };
        let tries = pick(
            rng,
            &[
                Ask::Load,
                Ask::Touch { session: 0 },
                Ask::Token { session: 0, hidden: false },
                Ask::SignOutAll,
            ],
        );
        let (first, second) = (one_in(rng, 2), one_in(rng, 2));
        let again = pick(rng, &[Way::AtOnce, Way::AnswerLost]);
        [
            asked(node, Ask::SignIn { user, acting: one_in(rng, 6) }, Way::AnswerLost),
            later(rng),
            asked(node + any(rng) % 2, tries, Way::AtOnce),
            asked(node, Ask::ProveAgain { anew: first }, again),
            later(rng),
            asked(node, Ask::ProveAgain { anew: second }, Way::AtOnce),
        ]
    }

    fn roll(rng: &mut SeededRng, nodes: usize) -> Self {
        let (node, browser) = (any(rng), any(rng));
        match rng.below(100) {
            0..55 => Self::Asked { node, browser, ask: Ask::roll(rng), way: Way::roll(rng, nodes) },
            55..68 => Self::WaitFor { session: any(rng), off: pick(rng, &[-1001, -1000, -1, 0, 0, 1, 1000]) },
            68..76 => {
                let most = pick(rng, &[3, 900, 5000, 60_000, 3_600_000, 90_000_000]);
                Self::Wait { millis: i64::try_from(rng.below(most)).expect("small") }
            }
            76..81 if nodes > 1 => Self::Go { request: any(rng), until: Until::roll(rng) },
            76..88 => Self::Settings { node, choice: Choice::roll(rng), audit: one_in(rng, 3) },
            88 => Self::Clock {
                node,
                turn: match rng.below(6) {
                    0 => Turn::Freeze,
                    1 => Turn::Resume,
                    2 => Turn::Reset,
                    _ => Turn::Advance { seconds: pick(rng, &[1, 59, 1860, 86_400]) },
                },
            },
            89 if nodes > 1 => Self::Crash { node },
            89 | 90 => Self::Restart { node },
            91 => {
                let far = pick(rng, &[500, 3000, 3_600_000]);
                let by = i64::try_from(rng.below(2 * far)).expect("small");
                Self::Skew { node, millis: by - i64::try_from(far).expect("small") }
            }
            92 if nodes > 1 => Self::HoldActivity { node },
            93 if nodes > 1 => Self::WriteHeld { node },
            94 => Self::LoseCookies { browser },
            95 => Self::OldCookie { browser, age: 1 + any(rng) % 3 },
            _ => Self::Ticket { user: any(rng) },
        }
    }
}

impl Ask {
    fn roll(rng: &mut SeededRng) -> Self {
        let (user, session) = (any(rng), any(rng));
        match rng.below(100) {
            0..18 => Self::SignIn { user, acting: one_in(rng, 6) },
            18..23 => Self::SignInWithTicket { ticket: session },
            23..48 => Self::Token { session, hidden: one_in(rng, 4) },
            48..56 => Self::Touch { session },
            56..63 => Self::Load,
            63..66 => Self::Handshake,
            66..68 => Self::Read { session },
            68..71 => Self::SignOut { session },
            71..73 => Self::End { session },
            73..75 => Self::SignOutAll,
            75..80 => Self::Redeem { nonce: session },
            80..83 => Self::Mint { session },
            83..86 => Self::Revoke { session },
            86..90 => Self::Look { session },
            90 => Self::Ban { user },
            91..93 => Self::Unban { user },
            93..95 => Self::Password { session },
            95..99 => Self::Sweep,
            _ => Self::Purge,
        }
    }

    /// Which session it names.
    pub const fn session(self) -> Option<usize> {
        match self {
            Self::Token { session, .. }
            | Self::Touch { session }
            | Self::Read { session }
            | Self::SignOut { session }
            | Self::End { session }
            | Self::Mint { session }
            | Self::Revoke { session }
            | Self::Look { session }
            | Self::Password { session } => Some(session),
            _ => None,
        }
    }

    /// Whether it begins a session.
    pub const fn is_sign_in(self) -> bool {
        matches!(self, Self::SignIn { .. } | Self::SignInWithTicket { .. } | Self::ProveAgain { .. })
    }

    /// Whether the server takes note that the newest secret has come.
    pub const fn shows_the_secret(self) -> bool {
        matches!(self, Self::Token { .. } | Self::Touch { .. } | Self::Load | Self::Handshake)
    }

    /// Whether a browser asks it.
    pub const fn is_of_a_browser(self) -> bool {
        matches!(
            self,
            Self::SignIn { .. }
                | Self::SignInWithTicket { .. }
                | Self::ProveAgain { .. }
                | Self::Token { .. }
                | Self::Touch { .. }
                | Self::Load
                | Self::Handshake
                | Self::Read { .. }
                | Self::SignOut { .. }
                | Self::End { .. }
                | Self::SignOutAll
                | Self::Password { .. }
        )
    }
}

impl Way {
    fn roll(rng: &mut SeededRng, nodes: usize) -> Self {
        match rng.below(10) {
            0 => Self::AnswerLost,
            1 => Self::SentTwice,
            2..5 if nodes > 1 => Self::Held(Until::roll(rng)),
            _ => Self::AtOnce,
        }
    }
}

impl Until {
    fn roll(rng: &mut SeededRng) -> Self {
        match rng.below(4) {
            0 => Self::Loaded,
            1 => Self::Answer,
            _ => Self::Calls(1 + any(rng) % 12),
        }
    }
}
