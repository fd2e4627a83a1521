//! The simulator: ten thousand worlds in which nothing breaks, and bugs planted
//! of which it has to find every one.

use sojourn_testkit::sim::{self, Coverage, Mutation, Story, run_seeds};

#[test]
fn r_20_ten_thousand_seeds_break_no_promise() {
    let outcome = run_seeds(0..10_000, |_| {});
    assert!(outcome.failures.is_empty(), "\n{}", outcome.failures.join("\n\n"));
    // Worlds in which nothing happens break no promise either.
    let coverage = outcome.coverage;
    let Coverage { admitted, lapsed, tightened, ended, tokens, .. } = coverage;
    let Coverage { refused, conflicts, old_secrets, audits, repeats, .. } = coverage;
    for seen in [admitted, lapsed, tightened, ended, tokens, refused, conflicts, old_secrets, audits, repeats]
    {
        assert!(seen > 500, "{coverage:?}");
    }
}

/// The promise by which a planted bug has to be found.
const fn broken_by(mutation: Mutation) -> &'static str {
    match mutation {
        Mutation::ClosedInterval | Mutation::NewestSettingsOnly | Mutation::CachedBrowser => {
            "nothing that is over is taken for open"
        }
        Mutation::LateActivityRevives | Mutation::EndNotTold => "every end is in the outbox once",
        Mutation::RotationIgnored => "I5: an identity older than the last rotation authenticates nothing",
        Mutation::UncheckedAdmission => "I3: single-session mode never admits a second session",
        Mutation::TicketNotSpent => "I4: what is good for one use is used once",
        Mutation::AnsweredBeforeWritten => "an end is stored before it is answered",
        Mutation::ActivityNotConsulted => "nobody who was seen is ended for inactivity",
        Mutation::TokenAfterEnd => "I2: no token after an end that was acknowledged",
        Mutation::WrongForecast => "the dry run says what then happens",
    }
}

#[test]
fn r_20_the_simulator_finds_every_planted_bug() {
    for mutation in Mutation::ALL {
        let mut seen = Vec::new();
        let finds = |seed| match sim::run(&Story::of(seed), Some(mutation)) {
            Ok(_) => false,
            Err(violation) => {
                let is_it = violation.promise == broken_by(mutation);
                seen.push(violation.promise);
                is_it
            }
        };
        let found = (0..10_000).any(finds);
        assert!(found, "{mutation:?} was not found, but: {seen:?}");
    }
}

#[test]
fn a_story_that_breaks_is_told_as_short_as_it_can_be() {
    let mutation = Some(Mutation::ClosedInterval);
    let violates = |seed| Some((seed, sim::run(&Story::of(seed), mutation).err()?));
    let (seed, violation) = (0..100).find_map(violates).expect("it is found");
    let (story, again) = sim::shrunk(Story::of(seed), *violation, mutation);
    assert!(story.steps.len() <= 4, "{story:?}");
    assert!(again.story.len() <= story.steps.len() + 1, "{again}");
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 0..20 {
        let again = || format!("{:?}", sim::run(&Story::of(seed), None));
        assert_eq!(again(), again());
    }
}
