//! Counters, gauges and histograms with a closed set of label values.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::LATENCY_US;

/// What `/metrics` shows under one name.
pub trait Metric: Sync {
    /// The name without the `_total` of counters.
    fn name(&self) -> &'static str;
    fn help(&self) -> &'static str;
    /// As the format calls it: counter, gauge or histogram.
    fn kind(&self) -> &'static str;
    /// The names of the labels.
    fn labels(&self) -> &'static [&'static str];
    /// Writes the values.
    ///
    /// # Errors
    /// Those of the encoder.
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result;
}

/// Names and label values of `N` series.
#[derive(Debug)]
struct Series<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    values: [&'static [&'static str]; N],
}

impl Series<1> {
    const fn single(name: &'static str, help: &'static str) -> Self {
        Self { name, help, labels: &[], values: [&[]] }
    }
}

impl<const N: usize> Series<N> {
    /// The series with these label values.
    fn position(&self, values: &[&str]) -> Option<usize> {
        self.values.iter().position(|known| *known == values)
    }

    fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        mut write: impl FnMut(usize, &mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (index, values) in self.values.iter().enumerate() {
            if self.labels.is_empty() {
                write(index, &mut metric)?;
            } else {
                let labels: Vec<(&str, &str)> =
                    self.labels.iter().copied().zip(values.iter().copied()).collect();
                write(index, &mut metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// The two ways to declare metrics, whose `$field` begins with `$zero`.
macro_rules! declared {
    ($type:ident, $field:ident, $zero:expr) => {
        impl $type<1> {
            /// One series without labels.
            pub const fn new(name: &'static str, help: &'static str) -> Self {
                Self { series: Series::single(name, help), $field: [const { $zero }] }
            }
        }

        impl<const N: usize> $type<N> {
            /// One series for each combination of label values.
            pub const fn labelled(
                name: &'static str,
                help: &'static str,
                labels: &'static [&'static str],
                values: [&'static [&'static str]; N],
            ) -> Self {
                Self { series: Series { name, help, labels, values }, $field: [const { $zero }; N] }
            }
        }
    };
}

macro_rules! described {
    ($kind:literal) => {
        fn name(&self) -> &'static str {
            self.series.name
        }

        fn help(&self) -> &'static str {
            self.series.help
        }

        fn kind(&self) -> &'static str {
            $kind
        }

        fn labels(&self) -> &'static [&'static str] {
            self.series.labels
        }
    };
}

/// Numbers that only grow.
#[derive(Debug)]
pub struct Counters<const N: usize> {
    series: Series<N>,
    counts: [AtomicU64; N],
}

declared!(Counters, counts, AtomicU64::new(0));

impl Counters<1> {
    /// Adds one.
    pub fn inc(&self) {
        self.add(0, 1);
    }
}

impl<const N: usize> Counters<N> {
    /// Adds to the series at `index`, in the order of the declaration.
    pub fn add(&self, index: usize, count: u64) {
        if let Some(counter) = self.counts.get(index) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Adds one to the series with these label values. Nothing where there is none: a label with
    /// values that nobody declared could grow without bound.
    pub fn inc_labelled(&self, values: &[&str]) {
        let index = self.series.position(values);
        debug_assert!(index.is_some(), "{}: {values:?} is not declared", self.series.name);
        self.add(index.unwrap_or(N), 1);
    }
}

impl<const N: usize> Metric for Counters<N> {
    described!("counter");

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.series.encode(encoder, MetricType::Counter, |index, metric| {
            metric.encode_counter::<NoLabelSet, _, u64>(&self.counts[index].load(Ordering::Relaxed), None)
        })
    }
}

/// Numbers that rise and fall.
#[derive(Debug)]
pub struct Gauges<const N: usize> {
    series: Series<N>,
    values: [AtomicI64; N],
}

declared!(Gauges, values, AtomicI64::new(0));

impl Gauges<1> {
    /// Adds one until the result is dropped.
    pub fn enter(&'static self) -> Inside {
        self.values[0].fetch_add(1, Ordering::Relaxed);
        Inside(&self.values[0])
    }

    /// Adds, or takes away.
    pub fn add(&self, by: i64) {
        self.values[0].fetch_add(by, Ordering::Relaxed);
    }
}

impl<const N: usize> Gauges<N> {
    /// Sets the series at `index`, in the order of the declaration.
    pub fn set(&self, index: usize, value: i64) {
        if let Some(gauge) = self.values.get(index) {
            gauge.store(value, Ordering::Relaxed);
        }
    }
}

impl<const N: usize> Metric for Gauges<N> {
    described!("gauge");

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.series.encode(encoder, MetricType::Gauge, |index, metric| {
            metric.encode_gauge(&self.values[index].load(Ordering::Relaxed))
        })
    }
}

/// Counted in a gauge until it is dropped.
#[derive(Debug)]
pub struct Inside(&'static AtomicI64);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long something takes, in buckets.
#[derive(Debug)]
pub struct Histograms<const N: usize> {
    series: Series<N>,
    latencies: [Latencies; N],
}

declared!(Histograms, latencies, Latencies::new());

impl<const N: usize> Histograms<N> {
    /// Counts a duration in the series at `index`, in the order of the declaration.
    pub fn observe(&self, index: usize, took: Duration) {
        if let Some(latencies) = self.latencies.get(index) {
            latencies.observe(took);
        }
    }
}

impl<const N: usize> Metric for Histograms<N> {
    described!("histogram");

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.series
            .encode(encoder, MetricType::Histogram, |index, metric| self.latencies[index].encode(metric))
    }
}

/// One distribution. The library's histogram has a lock, which every request would take.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// Not cumulative; the last one has what is above all bounds.
    buckets: [AtomicU64; LATENCY_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latencies {
    pub(crate) const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; LATENCY_US.len() + 1], sum_us: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn encode(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = LATENCY_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
