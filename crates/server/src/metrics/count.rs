//! Numbers that one thread writes and others read now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number of one thread. Only that thread adds to it, so adding is a load and a store and no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets of every histogram, in nanoseconds: 10 us to 1 s.
const BOUNDS: [u64; 16] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// How often something took how long, counted by one thread.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// By bucket; the last is for what took longer than every bound.
    counts: [Count; BOUNDS.len() + 1],
    nanoseconds: Count,
}

impl Times {
    pub(super) fn add(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let longer = || BOUNDS.iter().position(|bound| took <= *bound);
        if let Some(count) = self.counts.get(longer().unwrap_or(BOUNDS.len())) {
            count.add(1);
        }
        self.nanoseconds.add(took);
    }
}

/// The times of all threads together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Histogram {
    counts: [u64; BOUNDS.len() + 1],
    nanoseconds: u64,
}

impl<'t> FromIterator<&'t Times> for Histogram {
    fn from_iter<I: IntoIterator<Item = &'t Times>>(all: I) -> Self {
        let mut sum = Self::default();
        for times in all {
            for (sum, count) in sum.counts.iter_mut().zip(&times.counts) {
                *sum += count.get();
            }
            sum.nanoseconds = sum.nanoseconds.wrapping_add(times.nanoseconds.get());
        }
        sum
    }
}

impl Histogram {
    /// The sum of all times, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bounds in seconds, each with how many are in its bucket alone; the last bound is infinite.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9);
        bounds.chain([f64::INFINITY]).zip(self.counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_bucket_whose_bound_they_do_not_exceed() {
        for (nanoseconds, bucket) in [
            (0, 0),
            (10_000, 0),
            (10_001, 1),
            (20_000, 1),
            (999_999, 6),
            (1_000_000_000, 15),
            (1_000_000_001, 16),
            (u64::MAX, 16),
        ] {
            let times = Times::default();
            times.add(Duration::from_nanos(nanoseconds));
            let histogram = Histogram::from_iter([&times]);
            let found = histogram.buckets().iter().position(|(_, count)| *count == 1);
            assert_eq!((found, histogram.count()), (Some(bucket), 1), "{nanoseconds} ns");
            assert!((histogram.seconds() - nanoseconds as f64 / 1e9).abs() < 1e-9);
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn threads_are_summed() {
        let (one, other) = (Times::default(), Times::default());
        one.add(Duration::from_micros(15));
        one.add(Duration::from_micros(15));
        other.add(Duration::from_micros(15));
        let sum = Histogram::from_iter([&one, &other]);
        assert_eq!(sum.count(), 3);
        assert_eq!(sum.buckets()[1], (0.000_02, 3));
        assert!((sum.seconds() - 0.000_045).abs() < 1e-12);
    }
}
