//! Numbers about numbers.

/// The value that this share (0 to 1) of the values does not exceed; 0 of no values. Sorts them.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or_default()
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(&mut values.to_vec(), 0.5)
}

/// The smallest, or 0.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{least, median, percentile};

    #[test]
    fn of_some_and_of_none() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(percentile(&mut values, 0.99), 5.0);
        assert_eq!(percentile(&mut values, 0.0), 1.0);
        assert_eq!(median(&values), 3.0);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(least(&values), 1.0);
    }
}
