//! The simulator: ten thousand worlds in which nothing breaks, and bugs planted
//! of which it has to find every one.

use sojourn_testkit::sim::{self, Plant, Sights, Story, campaign};

#[test]
fn r_20_ten_thousand_seeds_break_no_promise() {
    let outcome = campaign(0..10_000, |_| {});
    assert!(outcome.failures.is_empty(), "\n{}", outcome.failures.join("\n\n"));
    // Worlds in which nothing happens break no promise either.
    let sights = outcome.sights;
    let Sights { admitted, lapsed, tightened, ended, tokens, refused, conflicts, old_secrets, audits } =
        sights;
    for seen in [admitted, lapsed, tightened, ended, tokens, refused, conflicts, old_secrets, audits] {
        assert!(seen > 1000, "{sights:?}");
    }
}

/// The promise by which a planted bug has to be found.
const fn broken_by(plant: Plant) -> &'static str {
    match plant {
        Plant::ClosedInterval | Plant::NewestSettingsOnly | Plant::CachedBrowser => {
            "nothing that is over is taken for open"
        }
        Plant::LateActivityRevives | Plant::EndNotTold => "every end is told once",
        Plant::RotationIgnored => "I5: an identity older than the last rotation authenticates nothing",
        Plant::UncheckedAdmission => "I3: single-session mode never admits a second session",
        Plant::TicketNotSpent => "I4: what is good for one use is used once",
        Plant::AnsweredBeforeWritten => "an end is stored before it is told",
        Plant::ActivityNotConsulted => "nobody who was seen is ended for inactivity",
        Plant::TokenAfterEnd => "I2: no token after an end that was acknowledged",
        Plant::WrongForecast => "the dry run says what then happens",
    }
}

#[test]
fn r_20_the_simulator_finds_every_planted_bug() {
    for plant in Plant::ALL {
        let mut seen = Vec::new();
        let finds = |seed| match sim::run(&Story::of(seed), Some(plant)) {
            Ok(_) => false,
            Err(broken) => {
                let is_it = broken.promise == broken_by(plant);
                seen.push(broken.promise);
                is_it
            }
        };
        let found = (0..10_000).any(finds);
        assert!(found, "{plant:?} was not found, but: {seen:?}");
    }
}

#[test]
fn a_story_that_breaks_is_told_as_short_as_it_can_be() {
    let plant = Some(Plant::ClosedInterval);
    let broken = |seed| Some((seed, sim::run(&Story::of(seed), plant).err()?));
    let (seed, broken) = (0..100).find_map(broken).expect("it is found");
    let (story, again) = sim::shortened(Story::of(seed), *broken, plant);
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
