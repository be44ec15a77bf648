//! Medians, and how numbers are shown.

/// A median with the range around it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Median {
    pub mid: f64,
    pub min: f64,
    pub max: f64,
}

impl Median {
    /// Returns `None` for no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let half = values.len() / 2;
        let mid = if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Self { mid, min, max })
    }
}

/// Three significant digits: 0.0123, 1.23, 12.3, 123, 12345.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        v if v < 0.095 => 4,
        v if v < 9.95 => 2,
        v if v < 99.5 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Thousands and millions: 512 k, 1.98 M.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{} M", short(v / 1e6)),
        v if v >= 9_950.0 => format!("{} k", short(v / 1e3)),
        v => short(v),
    }
}

/// A duration given in ns: 850 us, 1.2 ms, 3.40 s; `-` for none.
pub fn time(ns: f64) -> String {
    match ns {
        0.0 => "-".into(),
        v if v >= 1e9 => format!("{} s", short(v / 1e9)),
        v if v >= 1e6 => format!("{} ms", short(v / 1e6)),
        v => format!("{} us", short(v / 1e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_knows_its_range() {
        assert_eq!(Median::of([3.0, 1.0, 2.0]), Some(Median { mid: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Median::of([4.0, 1.0]).map(|m| m.mid), Some(2.5));
        assert_eq!(Median::of([]), None);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([rate(1_980_000.0), rate(512_000.0), rate(950.0)], ["1.98 M", "512 k", "950"]);
        assert_eq!([time(850_000.0), time(1_234_000.0), time(3.4e9)], ["850 us", "1.23 ms", "3.40 s"]);
    }
}
