//! One refresh against another, and against the bare signature. Browsers are
//! drawn at random, their activity is stored in groups as in production, and the
//! sides take turns, so that a busy machine is busy for all of them.

use sojourn_core::{testing::Dice, time::seconds};

use crate::{
    cpu::{median, nanoseconds},
    population::Population,
};

const ROUNDS: usize = 11;
const REFRESHES: usize = 1_000;

/// CPU of refreshes with few and with many sessions, and of signatures.
pub async fn compare(small: &Population, large: &Population) -> Vec<String> {
    let mut dice = Dice::new(11);
    let (mut few, mut many, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    // The first round fills caches and is not counted.
    for round in 0..=ROUNDS {
        let figures =
            [signatures(small), refreshes(small, &mut dice).await, refreshes(large, &mut dice).await];
        if round > 0 {
            bare.push(figures[0]);
            few.push(figures[1]);
            many.push(figures[2]);
        }
    }
    let (bare, few, many) = (median(bare), median(few), median(many));
    vec![
        format!("signature           {:7.1} µs CPU", bare / 1e3),
        format!("refresh, few        {:7.1} µs CPU   signature ÷ refresh {:.3}", few / 1e3, bare / few),
        format!("refresh, many       {:7.1} µs CPU   signature ÷ refresh {:.3}", many / 1e3, bare / many),
        format!("many ÷ few          {:7.3}           (at most 1.15)", many / few),
    ]
}

/// Nanoseconds of CPU of one bare signature.
fn signatures(population: &Population) -> f64 {
    let claims = serde_json::json!({"sub": "user", "sid": "sess", "iat": 1, "exp": 61});
    let before = nanoseconds();
    for _ in 0..REFRESHES {
        let token = population.app.server().signer().sign("bench", Some(1), &claims);
        assert!(!token.is_empty());
    }
    (nanoseconds() - before) as f64 / REFRESHES as f64
}

/// Nanoseconds of CPU of one refresh, with its share of the writer.
async fn refreshes(population: &Population, dice: &mut Dice) -> f64 {
    // Every session's stored activity is too old by now: the writer has work.
    population.app.clock.advance(seconds(61));
    let before = nanoseconds();
    for _ in 0..REFRESHES {
        let index = dice.below(population.len() as u64) as usize;
        let answer = population.refresh(index).send().await;
        assert_eq!(answer.status(), 200, "{answer}");
    }
    sojourn_store::Engine::flush_activity(population.app.store()).await.expect("a store that answers");
    (nanoseconds() - before) as f64 / REFRESHES as f64
}
