//! Figures for people: least, median and most of a few measurements, beside the goal, and a straight line through points.

use std::fmt::Write;

/// Least, median and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

/// The spread of some measurements, of which NaN is none; nothing of none.
pub(super) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    };
    Some(Spread { min, median, max })
}

/// `0.65 / 0.66 / 0.67`, or one number where all are the same; `-` of nothing.
pub(super) fn shown(spread: Option<Spread>, decimals: usize) -> String {
    match spread {
        None => "-".to_owned(),
        Some(Spread { min, median, max }) if min == max => format!("{median:.decimals$}"),
        Some(Spread { min, median, max }) => {
            format!("{min:.decimals$} / {median:.decimals$} / {max:.decimals$}")
        }
    }
}

/// The line `a + b·x` with the least squares, and the largest distance of a point from it. Nothing where all points have the same x.
pub(super) fn line(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let n = points.len() as f64;
    let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let width: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if width == 0.0 || points.is_empty() {
        return None;
    }
    let b = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / width;
    let a = y - b * x;
    let off = points.iter().map(|point| (point.1 - a - b * point.0).abs()).fold(0.0, f64::max);
    Some((a, b, off))
}

/// A table whose columns are as wide as they need to be.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows.iter().filter_map(|row| Some(row.get(at)?.chars().count())).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                // Writing to a String does not fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_least_median_and_most() {
        let shown_of = |values: &[f64], decimals| shown(spread(values.iter().copied()), decimals);
        assert_eq!(shown_of(&[3.0, 1.0, 2.0], 1), "1.0 / 2.0 / 3.0");
        assert_eq!(shown_of(&[4.0, 1.0, 2.0, 3.0], 2), "1.00 / 2.50 / 4.00");
        assert_eq!(shown_of(&[3.0, 3.0], 0), "3");
        assert_eq!(shown_of(&[f64::NAN], 0), "-");
    }

    #[test]
    fn a_line_is_found_again() {
        let (a, b, off) = line(&[(3.0, 16.0), (3.0, 16.0), (9.0, 28.0)]).unwrap();
        assert!((a - 10.0).abs() < 1e-9 && (b - 2.0).abs() < 1e-9 && off < 1e-9, "{a} {b} {off}");
        assert_eq!(line(&[(3.0, 1.0), (3.0, 2.0)]), None);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::default();
        table.row(["a".to_owned(), "≤ 1".to_owned()]);
        table.row(["long".to_owned(), "2".to_owned(), "3".to_owned()]);
        assert_eq!(table.text(), "a     ≤ 1\nlong  2    3\n");
    }
}
