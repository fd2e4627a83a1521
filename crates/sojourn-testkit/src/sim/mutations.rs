//! Bugs to plant into a simulated server, each of a kind that real servers had: the
//! invariants have to find every one of them.

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A session lives on at its deadline: `now <= until`.
    ClosedInterval,
    /// Sessions are judged by the newest settings only: looser ones revive.
    NewestSettingsOnly,
    /// A node answers refreshes from what it loaded before.
    CachedBrowser,
    /// Activity that arrives late opens a session again.
    LateActivityRevives,
    /// A client secret is good for ever.
    RotationIgnored,
    /// Two sign-ins that were decided on one browser both commit.
    UncheckedAdmission,
    /// A ticket is not spent.
    TicketNotSpent,
    /// A revocation is answered and not written.
    AnsweredBeforeWritten,
    /// An end is written without telling it.
    EndNotTold,
    /// A session is ended for inactivity without another look at its activity.
    ActivityNotConsulted,
    /// The application gets tokens for a session from what was loaded before.
    TokenAfterEnd,
    /// A dry run judges by the settings to come alone.
    WrongForecast,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ClosedInterval,
        Self::NewestSettingsOnly,
        Self::CachedBrowser,
        Self::LateActivityRevives,
        Self::RotationIgnored,
        Self::UncheckedAdmission,
        Self::TicketNotSpent,
        Self::AnsweredBeforeWritten,
        Self::EndNotTold,
        Self::ActivityNotConsulted,
        Self::TokenAfterEnd,
        Self::WrongForecast,
    ];
}
