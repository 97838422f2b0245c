//! Rates: integers in, one decimal `HALF_UP` out.

/// `part / whole` in percent with one decimal, `98.2`; `-` where there is nothing to divide by.
///
/// `model.md` 5.1: truncating breaks four of six published rates, rounding half
/// to even one.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = (u128::from(part) * 2000 + u128::from(whole)) / (2 * u128::from(whole));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rates_come_out() {
        for (part, whole, rate) in [
            (2256, 2297, "98.2"),
            (334, 358, "93.3"),
            (8416, 9802, "85.9"),
            (1512, 1903, "79.5"),
            (2823, 3361, "84.0"),
            (443, 526, "84.2"),
            (94, 94, "100.0"),
            (0, 7, "0.0"),
            (1, 2000, "0.1"),
            (0, 0, "-"),
        ] {
            assert_eq!(percent(part, whole), rate, "{part}/{whole}");
        }
    }
}
