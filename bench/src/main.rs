//! The cost of a token refresh, as ratios that are valid on any machine: both sides of a ratio are
//! measured alternately in one run (each module says what it compares).
//!
//! `make bench`, or `cargo run --release --package sojourn-bench -- 1000000`.

mod cpu;
mod population;
mod refresh;
mod sweep;

use population::Population;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let many = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let few = 1_000;
    println!("Sessions on SQLite, through the router in one process: {few} against {many}.");
    let small = Population::new(few).await;
    let large = Population::new(many).await;
    for line in refresh::compare(&small, &large).await {
        println!("{line}");
    }
    for line in sweep::beside(&large).await {
        println!("{line}");
    }
}
