//! Samples by row, and their summaries. This module only computes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rows::{Row, Target};

/// All samples of a run by the key of their row, in the unit of the row.
#[derive(Debug, Default)]
pub struct Samples {
    samples: BTreeMap<&'static str, Vec<f64>>,
}

/// A summary of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The middle sample, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest sample that at least 95 % of all samples do not exceed (nearest rank).
    pub p95: f64,
    /// The smallest sample that at least 99 % of all samples do not exceed.
    pub p99: f64,
    /// Number of samples.
    pub count: usize,
}

/// A target with its computed limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The max median.
    pub limit: f64,
    /// True if neither the median nor the 95th percentile exceeds its limit.
    pub is_met: bool,
}

impl Samples {
    /// Adds a time to the row `key`.
    pub fn add(&mut self, key: &'static str, time: Duration) {
        self.add_value(key, time.as_secs_f64() * 1000.0);
    }

    /// Adds a value to the row `key`, in the row's unit.
    pub fn add_value(&mut self, key: &'static str, value: f64) {
        assert!(Row::find(key).is_some(), "no row is called {key}");
        self.samples.entry(key).or_default().push(value);
    }

    /// Adds a number of things to the row `key`.
    pub fn add_count(&mut self, key: &'static str, count: usize) {
        self.add_value(key, exact(count));
    }

    /// Summarizes a row; `None` if it was not measured.
    pub fn summary(&self, key: &str) -> Option<Summary> {
        let mut sorted = self.samples.get(key)?.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let nearest_rank = |percent: usize| sorted[(count * percent).div_ceil(100) - 1];
        Some(Summary {
            median: f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
            p95: nearest_rank(95),
            p99: nearest_rank(99),
            count,
        })
    }

    /// Returns the samples of a row in the order of measurement.
    pub fn of(&self, key: &str) -> &[f64] {
        self.samples.get(key).map_or(&[], Vec::as_slice)
    }

    /// Compares a row's median with its target; `None` if it has no target or a value is missing.
    pub fn evaluate(&self, row: &Row) -> Option<Evaluation> {
        let Summary { median, p95, .. } = self.summary(row.key)?;
        let limit = match row.target? {
            Target::AtMost(limit) => limit,
            Target::Above(other, extra) => self.summary(other)?.median + extra,
            Target::Times(other, factor) => self.summary(other)?.median * factor,
        };
        Some(Evaluation {
            limit,
            is_met: median <= limit && row.p95_limit.is_none_or(|limit| p95 <= limit),
        })
    }
}

/// Returns the events per second.
pub fn per_second(count: usize, time: Duration) -> f64 {
    exact(count) / time.as_secs_f64()
}

fn exact(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("nothing is counted that often"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &'static str, values: impl IntoIterator<Item = u32>) -> Samples {
        let mut samples = Samples::default();
        for value in values {
            samples.add_value(key, f64::from(value));
        }
        samples
    }

    #[test]
    fn the_median_is_the_middle_and_a_percentile_is_a_sample() {
        let summary = |values: &[u32]| {
            of("create", values.iter().copied())
                .summary("create")
                .expect("measured")
        };
        assert_eq!(
            summary(&[7]),
            Summary {
                median: 7.0,
                p95: 7.0,
                p99: 7.0,
                count: 1
            }
        );
        assert_eq!(
            summary(&[9, 1, 5]),
            Summary {
                median: 5.0,
                p95: 9.0,
                p99: 9.0,
                count: 3
            }
        );
        assert_eq!(
            summary(&[4, 1, 2, 9]),
            Summary {
                median: 3.0,
                p95: 9.0,
                p99: 9.0,
                count: 4
            }
        );
        let hundred = of("create", (1..=100).rev())
            .summary("create")
            .expect("measured");
        assert_eq!(
            hundred,
            Summary {
                median: 50.5,
                p95: 95.0,
                p99: 99.0,
                count: 100
            }
        );
        assert_eq!(Samples::default().summary("create"), None);
    }

    #[test]
    fn a_target_may_depend_on_another_rows_median() {
        let row = Row::find("create").expect("a row");
        let mut samples = of("create", [160, 150, 900]);
        assert_eq!(samples.evaluate(row), None);
        samples.add_value("chromium-start", 100.0);
        assert_eq!(
            samples.evaluate(row),
            Some(Evaluation {
                limit: 160.0,
                is_met: true
            })
        );
        samples.add_value("create", 161.0);
        samples.add_value("create", 170.0);
        assert_eq!(
            samples.evaluate(row),
            Some(Evaluation {
                limit: 160.0,
                is_met: false
            })
        );
    }

    #[test]
    fn a_target_may_also_limit_the_95th_percentile() {
        let row = Row::find("result-node-warm").expect("a row");
        let is_met = |values: &[u32]| {
            let samples = of("result-node-warm", values.iter().copied());
            samples.evaluate(row).expect("measured").is_met
        };
        assert!(is_met(&[10, 12, 40]));
        assert!(!is_met(&[10, 12, 41]));
        assert!(!is_met(&[16, 16, 16]));
    }
}
