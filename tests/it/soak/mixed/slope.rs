//! The trend of measurements.

/// Returns the slope of the line through the points `(x, y)` with the least squared error; `None`
/// for fewer than three points.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let count = f64::from(u32::try_from(points.len()).expect("few points"));
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(covariance / variance)
}

#[test]
fn the_slope_is_the_one_with_the_least_squared_error() {
    assert_eq!(slope(&[(0.0, 1.0), (1.0, 2.0)]), None);
    let exact = slope(&[(0.0, 100.0), (1.0, 102.0), (3.0, 106.0)]).unwrap();
    assert!((exact - 2.0).abs() < 1e-9, "{exact}");
    let noisy = slope(&[(0.0, 11.0), (1.0, 9.0), (2.0, 11.0), (3.0, 9.0)]).unwrap();
    assert!((noisy + 0.4).abs() < 1e-9, "{noisy}");
}
