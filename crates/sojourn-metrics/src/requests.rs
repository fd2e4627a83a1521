//! Requests by API, route, method and status.
//!
//! The routes are not known when the program is compiled, so they are kept in a table of fixed size that
//! only grows: a look-up compares a few texts and takes no lock.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::metric::{Latencies, Metric};

/// More than there are routes. The label of what does not fit is `other`.
const SLOTS: usize = 256;
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// Requests of all routes.
#[derive(Debug)]
pub struct Requests {
    slots: [OnceLock<Route>; SLOTS],
    /// For routes for which there is no slot.
    overflow: OnceLock<Route>,
}

#[derive(Debug)]
struct Route {
    api: &'static str,
    /// The pattern that matched, never the path.
    route: Box<str>,
    methods: [OnceLock<Box<Answers>>; METHODS.len()],
}

#[derive(Debug)]
struct Answers {
    by_class: [AtomicU64; CLASSES.len()],
    latencies: Latencies,
}

impl Requests {
    pub(crate) const fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; SLOTS], overflow: OnceLock::new() }
    }

    /// Counts a response. `route` is the pattern that matched.
    pub fn observe(&self, api: &'static str, route: &str, method: &str, status: u16, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let answers = self.route(api, route).methods[method].get_or_init(Box::default);
        answers.by_class[class(status)].fetch_add(1, Ordering::Relaxed);
        answers.latencies.observe(took);
    }

    fn route(&self, api: &'static str, route: &str) -> &Route {
        let start = hash(route) % SLOTS;
        for probe in 0..SLOTS {
            let found = self.slots[(start + probe) % SLOTS].get_or_init(|| Route::new(api, route));
            if &*found.route == route && found.api == api {
                return found;
            }
        }
        self.overflow.get_or_init(|| Route::new("other", "other"))
    }

    fn known(&self) -> impl Iterator<Item = (&Route, &'static str, &Answers)> {
        let routes = self.slots.iter().chain([&self.overflow]).filter_map(OnceLock::get);
        routes.flat_map(|route| {
            let methods = route.methods.iter().zip(METHODS);
            methods.filter_map(move |(answers, method)| Some((route, method, &**answers.get()?)))
        })
    }
}

impl Route {
    fn new(api: &'static str, route: &str) -> Self {
        Self { api, route: route.into(), methods: [const { OnceLock::new() }; METHODS.len()] }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { by_class: [const { AtomicU64::new(0) }; CLASSES.len()], latencies: Latencies::new() }
    }
}

/// FNV-1a: routes are ours, so nobody can choose them to collide.
fn hash(text: &str) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step) as usize
}

/// How long the requests took: the other half of [`Requests`].
#[derive(Debug)]
pub struct RequestDurations(pub(crate) &'static Requests);

impl Metric for RequestDurations {
    fn name(&self) -> &'static str {
        "sojourn_http_request_seconds"
    }

    fn help(&self) -> &'static str {
        "Time from the head of a request to the response."
    }

    fn kind(&self) -> &'static str {
        "histogram"
    }

    fn labels(&self) -> &'static [&'static str] {
        &["api", "route", "method"]
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut latencies =
            encoder.encode_descriptor(self.name(), self.help(), None, MetricType::Histogram)?;
        for (route, method, answers) in self.0.known() {
            let labels = [("api", route.api), ("route", &*route.route), ("method", method)];
            answers.latencies.encode(&mut latencies.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Metric for Requests {
    fn name(&self) -> &'static str {
        "sojourn_http_requests"
    }

    fn help(&self) -> &'static str {
        "Answered requests. route is the pattern that matched, none where none did."
    }

    fn kind(&self) -> &'static str {
        "counter"
    }

    fn labels(&self) -> &'static [&'static str] {
        &["api", "route", "method", "status"]
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut counter = encoder.encode_descriptor(self.name(), self.help(), None, MetricType::Counter)?;
        for (route, method, answers) in self.known() {
            for (count, status) in answers.by_class.iter().zip(CLASSES) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels =
                        [("api", route.api), ("route", &route.route), ("method", method), ("status", status)];
                    let mut family: MetricEncoder<'_> = counter.encode_family(&labels)?;
                    family.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_own_counts() {
        let requests = Requests::new();
        for (route, status) in [("/a", 200), ("/b", 404), ("/a", 204), ("/a", 500)] {
            requests.observe("backend", route, "GET", status, Duration::from_millis(3));
        }
        requests.observe("backend", "/a", "BREW", 418, Duration::ZERO);
        let mut told: Vec<String> = requests
            .known()
            .map(|(route, method, answers)| {
                let counts: Vec<u64> =
                    answers.by_class.iter().map(|count| count.load(Ordering::Relaxed)).collect();
                format!("{} {method} {counts:?}", route.route)
            })
            .collect();
        told.sort();
        assert_eq!(told, ["/a GET [0, 2, 0, 0, 1]", "/a other [0, 0, 0, 1, 0]", "/b GET [0, 0, 0, 1, 0]"]);
    }

    #[test]
    fn the_number_of_routes_is_bounded() {
        let requests = Requests::new();
        for number in 0..2 * SLOTS {
            requests.observe("backend", &format!("/{number}"), "GET", 200, Duration::ZERO);
        }
        assert_eq!(requests.known().count(), SLOTS + 1);
        let rest = requests.overflow.get().and_then(|route| route.methods[0].get());
        let rest = rest.expect("the rest").by_class[1].load(Ordering::Relaxed);
        assert_eq!(rest, SLOTS as u64);
    }
}
