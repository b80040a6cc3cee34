//! Welch's t-test: decides whether two sets of measurements have the same mean.

/// The share of measurements that is used: the slowest ones reflect the machine and not the code.
const KEPT: f64 = 0.9;

/// Returns the distance between the means of two sets in units of the standard error.
pub fn t(one: &[f64], other: &[f64]) -> f64 {
    let (mean_one, spread_one) = describe(one);
    let (mean_other, spread_other) = describe(other);
    (mean_one - mean_other) / (spread_one + spread_other).sqrt()
}

/// Returns the mean, and the variance of the mean.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small"
)]
fn describe(times: &[f64]) -> (f64, f64) {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.truncate((times.len() as f64 * KEPT) as usize);
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let variance = sorted.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

/// Checks that the test detects a small difference: a hundredth of the noise, given enough samples.
#[test]
fn a_small_difference_is_detected_and_none_is_not() {
    // Reproducible noise.
    let mut seed: u64 = 1;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f64::from(u32::try_from(seed >> 33).unwrap()) / f64::from(u32::MAX >> 1)
    };
    let one: Vec<f64> = (0..100_000).map(|_| 1.0 + noise()).collect();
    let same: Vec<f64> = (0..100_000).map(|_| 1.0 + noise()).collect();
    let slower: Vec<f64> = (0..100_000).map(|_| 1.01 + noise()).collect();
    assert!(t(&one, &same).abs() < 4.5, "{}", t(&one, &same));
    assert!(t(&one, &slower) < -4.5, "{}", t(&one, &slower));
}
