//! The nodes of a simulated world: their clocks, what they have in memory, and
//! when they write it.

use std::collections::BTreeMap;

use sojourn_core::{
    client::ClientWithSessions,
    id::{ClientId, SessionId},
    test_clock::TestClock,
    time::{Moment, Timestamp},
};
use sojourn_store::Engine as _;

use crate::memory::{ActivityBatch, MemoryEngine};

use super::{
    Mutation, Violation,
    reference_state::Place,
    world::{World, ready, unexpected},
};

/// How often a node writes what is due.
const FLUSH_EVERY: i64 = 800;
/// Every so many flushes idle activity is written.
const TIDY_EVERY: u32 = 30;

/// One run of one server.
#[derive(Debug)]
pub struct Node {
    pub engine: MemoryEngine,
    /// Tells its runs apart.
    pub run: u64,
    /// By how much its machine's clock is wrong.
    pub skew: i64,
    /// The latest time that it told.
    pub latest: i64,
    /// As it last saw it.
    pub test: TestClock,
    next_flush: i64,
    flushes: u32,
    /// Taken to be written, and held up.
    pub held: Vec<ActivityBatch>,
    /// What a planted bug keeps.
    pub cached: BTreeMap<ClientId, ClientWithSessions>,
}

impl World {
    /// A node that has just started on the rows.
    pub(super) fn started(&mut self, skew: i64) -> Node {
        self.runs += 1;
        let engine = self.rows.node();
        let mark = ready(engine.high_water()).expect("the store in memory answers");
        let test = ready(engine.test_clock(self.instance)).expect("the store in memory answers");
        Node {
            engine,
            run: self.runs,
            skew,
            latest: mark.map_or(i64::MIN, Timestamp::as_millis),
            test,
            next_flush: self.real + FLUSH_EVERY,
            flushes: 0,
            held: Vec::new(),
            cached: BTreeMap::new(),
        }
    }

    pub(super) fn start_again(&mut self, node: usize) {
        let run = self.nodes[node].run;
        self.under_way.retain(|under_way| under_way.run != run);
        self.nodes[node] = self.started(self.nodes[node].skew);
    }

    pub(super) fn write_held(&mut self, node: usize) {
        for batch in std::mem::take(&mut self.nodes[node].held) {
            self.tell(&format!("node {node}'s activity that was held up is written"));
            self.write(node, &batch);
        }
        self.reference.stall(self.nodes[node].run, self.real, false);
    }

    fn write(&mut self, node: usize, batch: &ActivityBatch) {
        if self.mutation == Some(Mutation::LateActivityRevives) {
            let is_over =
                |id: &SessionId| self.reference.sessions.get(id).is_some_and(|known| known.closing.is_some());
            self.revived.extend(batch.sessions().filter(is_over));
        }
        self.nodes[node].engine.write_activity(batch);
    }

    /// One reading of a node's clocks; they never run backwards.
    pub(super) fn moment(&mut self, node: usize) -> Moment {
        let real = self.real;
        let node = &mut self.nodes[node];
        node.latest = node.latest.max(real + node.skew);
        node.test.read(Timestamp::from_millis(node.latest))
    }

    pub(super) fn place_of(&self, node: usize, at: Moment) -> Place {
        Place { at, real: self.real, node: self.nodes[node].run }
    }

    /// Time passes, and every node writes what is due within a second.
    pub(super) fn wait(&mut self, millis: i64) -> Result<(), Violation> {
        let until = self.real + millis;
        loop {
            let next = self.nodes.iter().map(|node| node.next_flush).min().unwrap_or(until);
            if next > until {
                break;
            }
            self.real = self.real.max(next);
            let (real, far) = (self.real, until - self.real > 40 * FLUSH_EVERY);
            for index in 0..self.nodes.len() {
                let node = &mut self.nodes[index];
                if node.next_flush > real {
                    continue;
                }
                node.next_flush = if far { until - FLUSH_EVERY } else { real + FLUSH_EVERY };
                node.flushes += 1;
                // Nothing happens in a long wait but that what is idle is written.
                if far || node.flushes.is_multiple_of(TIDY_EVERY) {
                    node.engine.tidy_activity();
                }
                if node.held.is_empty() {
                    let batch = node.engine.take_activity(false);
                    self.write(index, &batch);
                }
            }
        }
        self.real = until;
        Ok(())
    }

    pub(super) fn follow_test_clock(&mut self, node: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[node];
        let stored = ready(node.engine.test_clock(self.instance)).map_err(unexpected)?;
        if stored.resets > node.test.resets {
            // What it has in memory is of the time before: gone, as with a crash.
            node.engine.forget_activity(self.instance);
            self.reference.crash(node.run, self.real);
            self.runs += 1;
            for under_way in self.under_way.iter_mut().filter(|one| one.run == node.run) {
                under_way.run = self.runs;
            }
            node.run = self.runs;
        }
        node.test = stored;
        Ok(())
    }
}
