//! Latencies, and their summary.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Microseconds. What takes longer counts as this.
const LONGEST: u64 = 24 * 60 * 60 * 1_000_000;

/// Three digits of every latency count, in memory that does not grow with their number.
pub struct Latencies(Histogram<u64>);

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencySummary {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latencies {
    /// # Errors
    /// A sentence, when there is no room for them.
    pub fn new() -> Result<Self, String> {
        let histogram = Histogram::new_with_max(LONGEST, 3);
        histogram.map(Self).map_err(|error| format!("latencies cannot be kept: {error}"))
    }

    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
    }

    /// None when there were none.
    pub fn summary(&self) -> Option<LatencySummary> {
        let milliseconds = |micros: u64| micros as f64 / 1_000.0;
        let at = |quantile| milliseconds(self.0.value_at_quantile(quantile));
        let max = milliseconds(self.0.max());
        (!self.0.is_empty()).then(|| LatencySummary { p50: at(0.5), p95: at(0.95), p99: at(0.99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_summed_up_in_milliseconds() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.summary(), None);
        for milliseconds in 1..=100 {
            latencies.record(Duration::from_millis(milliseconds));
        }
        let summary = latencies.summary().unwrap();
        for (reported, expected) in
            [(summary.p50, 50.0), (summary.p95, 95.0), (summary.p99, 99.0), (summary.max, 100.0)]
        {
            assert!((reported - expected).abs() / expected < 0.001, "{reported}, not {expected}");
        }
        latencies.record(Duration::MAX);
        assert!(latencies.summary().unwrap().max >= 86_400_000.0);
    }
}
