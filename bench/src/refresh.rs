//! Compares refreshes with each other and with a bare signature. Activity is written in batches as
//! in production. The sides are measured alternately, so that other load on the machine affects all
//! of them.
//!
//! With many sessions two costs are measured: with as many active users as with few sessions,
//! anywhere among the many; and with every session equally likely, so that no row is ever cached.

use std::time::Duration;

use sojourn_core::{testing::SeededRng, time::seconds};

use crate::{
    cpu::{median, nanoseconds},
    population::Population,
};

const ROUNDS: usize = 11;
const REFRESHES: usize = 1_000;
/// The writer stores due activity at least once a second.
const WRITTEN_WITHIN: Duration = Duration::from_millis(1_700);

/// CPU time of refreshes with few and with many sessions, and of signatures.
pub async fn compare(small: &Population, large: &Population) -> Vec<String> {
    let mut rng = SeededRng::new(11);
    let (mut few, mut many, mut anyone) = (Sides::default(), Sides::default(), Sides::default());
    let mut bare = Vec::new();
    let here: Vec<usize> = (0..small.len()).collect();
    let active: Vec<usize> = (0..small.len()).map(|_| rng.below(large.len() as u64) as usize).collect();
    let all: Vec<usize> = (0..large.len()).collect();
    // The first round fills the caches and does not count.
    for round in 0..=ROUNDS {
        let signature = signatures(small);
        let sides = [
            refreshes(small, &here, &mut rng).await,
            refreshes(large, &active, &mut rng).await,
            refreshes(large, &all, &mut rng).await,
        ];
        if round > 0 {
            bare.push(signature);
            few.add(sides[0]);
            many.add(sides[1]);
            anyone.add(sides[2]);
        }
    }
    let (bare, few, many, anyone) = (median(bare), few.medians(), many.medians(), anyone.medians());
    let sum = |[answer, write]: [f64; 2]| answer + write;
    let shown = |name: &str, [answer, write]: [f64; 2]| {
        format!(
            "{name}  {:7.1} µs CPU, of which the writer {:5.1}   signature ÷ refresh {:.3}",
            (answer + write) / 1e3,
            write / 1e3,
            bare / (answer + write)
        )
    };
    vec![
        format!("signature                      {:7.1} µs CPU", bare / 1e3),
        shown("refresh, few                 ", few),
        shown("refresh, as many among many  ", many),
        shown("refresh, anyone among many   ", anyone),
        format!("many ÷ few, as many active     {:7.3}   (at most 1.15)", sum(many) / sum(few)),
        format!("many ÷ few, anyone             {:7.3}", sum(anyone) / sum(few)),
    ]
}

/// CPU time of the responses, and of storing the activity afterwards.
#[derive(Default)]
struct Sides {
    answers: Vec<f64>,
    writes: Vec<f64>,
}

impl Sides {
    fn add(&mut self, [answer, write]: [f64; 2]) {
        self.answers.push(answer);
        self.writes.push(write);
    }

    fn medians(self) -> [f64; 2] {
        [median(self.answers), median(self.writes)]
    }
}

/// CPU time of one signature in nanoseconds.
fn signatures(population: &Population) -> f64 {
    let claims = serde_json::json!({"sub": "user", "sid": "sess", "iat": 1, "exp": 61});
    let before = nanoseconds();
    for _ in 0..REFRESHES {
        let token = population.app.server().signer().sign("bench", Some(1), &claims);
        assert!(!token.is_empty());
    }
    (nanoseconds() - before) as f64 / REFRESHES as f64
}

/// CPU time of one refresh in nanoseconds, and its share of the writer's time.
async fn refreshes(population: &Population, among: &[usize], rng: &mut SeededRng) -> [f64; 2] {
    // Each client refreshes twice, 43 s apart like a tab. Activity is stored when the stored value
    // is a minute old: once for both.
    let indices: Vec<usize> =
        (0..REFRESHES / 2).map(|_| among[rng.below(among.len() as u64) as usize]).collect();
    let (mut answers, mut writes) = (0, 0);
    for _ in 0..2 {
        population.app.clock.advance(seconds(43));
        let before = nanoseconds();
        for index in &indices {
            let answer = population.refresh(*index).send().await;
            assert_eq!(answer.status(), 200, "{answer}");
        }
        let answered = nanoseconds();
        // The writer stores due activity in batches, at its own interval.
        tokio::time::sleep(WRITTEN_WITHIN).await;
        answers += answered - before;
        writes += nanoseconds() - answered;
    }
    [answers, writes].map(|spent| spent as f64 / REFRESHES as f64)
}
