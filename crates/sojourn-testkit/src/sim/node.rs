//! The nodes of a simulated world: a service each, its clock, what it has in memory, and when
//! it writes that.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use sojourn_core::{
    testing::SeededRng,
    time::{Moment, Timestamp},
};
use sojourn_service::{Clock, InstanceKind, Options, Rng, Service, mail::MailOptions, settings::Pins};
use sojourn_store::Store;

use crate::{memory::ActivityBatch, seed};

use super::{
    Violation,
    engine::NodeEngine,
    request::Request,
    world::{World, ready, unexpected},
};

/// How often a node writes what is due.
const FLUSH_EVERY: i64 = 800;
/// Every so many flushes idle activity is written.
const TIDY_EVERY: u32 = 30;

/// The clock of a node's machine.
#[derive(Debug)]
pub struct MachineClock {
    /// Milliseconds, on a clock that is never wrong.
    real: Arc<AtomicI64>,
    /// By how much this one is wrong.
    skew: AtomicI64,
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.real.load(Ordering::Relaxed) + self.skew.load(Ordering::Relaxed))
    }
}

/// One run of one server.
#[derive(Debug)]
pub struct Node {
    pub service: Service,
    pub engine: Arc<NodeEngine>,
    /// Tells its runs apart.
    pub run: u64,
    clock: Arc<MachineClock>,
    next_flush: i64,
    flushes: u32,
    /// Taken to be written, and held up.
    pub held: Vec<ActivityBatch>,
}

impl Node {
    /// The machine's clock is wrong by so many milliseconds from now on.
    pub fn skew(&self, by_ms: i64) {
        self.clock.skew.store(by_ms, Ordering::Relaxed);
    }
}

impl World {
    pub(super) fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// A node that has just started on the rows.
    pub(super) fn started(&mut self, skew: i64) -> Result<Node, Violation> {
        let run = self.next_run();
        let clock = Arc::new(MachineClock { real: Arc::clone(&self.time), skew: AtomicI64::new(skew) });
        let engine = NodeEngine::new(self.rows.node(), self.mutation, Arc::clone(&self.revived));
        let engine = Arc::new(engine);
        let options = Options {
            store: Store::Dyn(Arc::clone(&engine) as _),
            instance: InstanceKind::Development,
            master_key: seed::master_key(),
            previous_master_key: None,
            clock: Arc::clone(&clock) as _,
            rng: Rng::Seeded(Mutex::new(Box::new(SeededRng::new(self.seed ^ (run << 32))))),
            base_url: self.base_url.clone(),
            rate_limits: false,
            exposed: false,
            mail: MailOptions::default(),
            pins: Pins::default(),
            webhook_networks: Vec::new(),
        };
        let service =
            ready(Service::open_with_keys(options, vec![seed::parsed_key().1])).map_err(unexpected)?;
        // What it read and wrote to start is nobody's request.
        engine.take_seen();
        let next_flush = self.real() + FLUSH_EVERY;
        Ok(Node { service, engine, run, clock, next_flush, flushes: 0, held: Vec::new() })
    }

    pub(super) fn start_again(&mut self, node: usize) -> Result<(), Violation> {
        let run = self.nodes[node].run;
        self.under_way.retain(|under_way| under_way.request.run != run);
        let skew = self.nodes[node].clock.skew.load(Ordering::Relaxed);
        self.nodes[node] = self.started(skew)?;
        Ok(())
    }

    pub(super) fn write_held(&mut self, node: usize) {
        for batch in std::mem::take(&mut self.nodes[node].held) {
            self.tell(format_args!("node {node}'s activity that was held up is written"));
            self.write(node, &batch);
        }
        self.reference.stall(self.nodes[node].run, self.real(), false);
    }

    fn write(&mut self, node: usize, batch: &ActivityBatch) {
        self.has_written = true;
        let sessions = &self.reference.sessions;
        self.nodes[node]
            .engine
            .write_activity(batch, |id| sessions.get(id).is_some_and(|known| known.closing.is_some()));
    }

    /// One reading of a node's clocks; they never run backwards.
    pub(super) fn moment(&self, node: usize) -> Moment {
        self.nodes[node].service.moment()
    }

    /// Milliseconds, on a clock that is never wrong.
    pub(super) fn real(&self) -> i64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Time passes, and every node writes what is due within a second.
    pub(super) fn wait(&mut self, millis: i64) {
        let until = self.real() + millis;
        loop {
            let next = self.nodes.iter().map(|node| node.next_flush).min().unwrap_or(until);
            if next > until {
                break;
            }
            let real = self.real().max(next);
            self.time.store(real, Ordering::Relaxed);
            let far = until - real > 40 * FLUSH_EVERY;
            for index in 0..self.nodes.len() {
                let node = &mut self.nodes[index];
                if node.next_flush > real {
                    continue;
                }
                node.next_flush = if far { until - FLUSH_EVERY } else { real + FLUSH_EVERY };
                node.flushes += 1;
                // Nothing happens in a long wait but that what is idle is written.
                let idle = far || node.flushes.is_multiple_of(TIDY_EVERY);
                if node.held.is_empty() {
                    let batch = node.engine.take_activity(idle);
                    if !batch.is_empty() {
                        self.write(index, &batch);
                    }
                }
            }
        }
        self.time.store(until, Ordering::Relaxed);
    }

    pub(super) fn follow_test_clock(&mut self, node: usize) -> Result<(), Violation> {
        let mut request = Request::of_node(self, node);
        let service = self.nodes[node].service.clone();
        self.finish(&mut request, service.follow_test_clock())?.map_err(unexpected)
    }
}
