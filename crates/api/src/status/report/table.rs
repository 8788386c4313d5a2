//! Columns under each other. Used by `tables.rs`.

use super::COLUMNS;

/// Narrowest first column.
const NARROWEST: usize = 12;

/// A table: the first column holds names and gives way when the others need the room, the others are aligned as they say.
pub(super) struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

/// Where the texts of a column stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Table {
    pub(super) fn new(heads: Vec<(&'static str, Align)>) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// A row of as many cells as there are columns.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As lines, indented by two.
    pub(super) fn render(&self) -> String {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(self.heads[column].0)]).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..self.heads.len()).map(widest).collect();
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        if let Some(first) = widths.first_mut() {
            *first = (*first).min(COLUMNS.saturating_sub(others + 2).max(NARROWEST));
        }
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| (*head).to_owned()).collect();
        std::iter::once(&heads).chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(&self.heads) {
            let cell = shortened(cell, *width);
            line.push_str("  ");
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        format!("{}\n", line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text within so many characters, with an ellipsis if it had to be cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
