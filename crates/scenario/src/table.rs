//! Tables of variables: text → rows of values. Which row a user sees is in `memory.rs`.

use std::fmt;

use crate::error::did_you_mean;
use crate::expr::{Key, Value, parse_json};
use crate::model::DataFormat;

/// Most rows of a table; row numbers are kept as 32 bits.
const MOST_ROWS: usize = u32::MAX as usize;

/// A table with its values. Its `Debug` form shows none of them.
#[derive(Clone, PartialEq)]
pub struct Table {
    name: String,
    columns: Vec<String>,
    /// Row by row; absent where a JSON object lacks the field.
    cells: Vec<Option<Value>>,
}

impl Table {
    /// Reads a table; at least one row is needed.
    ///
    /// # Errors
    /// What is wrong and in which line; never holds a value of the table.
    pub fn parse(name: &str, format: DataFormat, text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let line = text[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            format!("line {line} is not UTF-8; save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut table = Self { name: name.to_owned(), columns: Vec::new(), cells: Vec::new() };
        match format {
            DataFormat::Csv => table.read_csv(text)?,
            DataFormat::JsonLines => table.read_json_lines(text)?,
        }
        match table.rows() {
            0 => Err("has no row; give it at least one".to_owned()),
            n if n > MOST_ROWS => Err(format!("has {n} rows; at most {MOST_ROWS} can be used")),
            _ => Ok(table),
        }
    }

    fn read_csv(&mut self, text: &str) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| csv_error(&error))? {
            if self.columns.is_empty() {
                self.columns = record.iter().map(|name| name.trim().to_owned()).collect();
                self.check_header()?;
            } else {
                self.cells.extend(record.iter().map(|cell| Some(Value::String(cell.into()))));
            }
        }
        Ok(())
    }

    fn check_header(&self) -> Result<(), String> {
        for (i, name) in self.columns.iter().enumerate() {
            if name.is_empty() {
                return Err(format!("column {} of the header line has no name", i + 1));
            }
            if self.columns[..i].contains(name) {
                return Err(format!("two columns are named {name:?}; rename one"));
            }
        }
        Ok(())
    }

    fn read_json_lines(&mut self, text: &str) -> Result<(), String> {
        let mut rows = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = number + 1;
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(line) {
                return Err(format!("line {number} (column {}) is not JSON", error.column()));
            }
            let Some(Value::Map(row)) = parse_json(line) else {
                return Err(format!(
                    "line {number} is not a JSON object; write one like {{\"name\": \"value\"}}"
                ));
            };
            for (key, _) in row.iter() {
                if let Key::String(name) = key
                    && !self.columns.iter().any(|column| **column == **name)
                {
                    self.columns.push(name.to_string());
                }
            }
            rows.push(row);
        }
        for row in rows {
            self.cells.extend(self.columns.iter().map(|name| row.get(name).cloned()));
        }
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of its columns, in the order of the text.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows, at least 1.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.columns.len()).unwrap_or(0)
    }

    /// Index of a column.
    ///
    /// # Errors
    /// There is none of that name; the text names the nearest, or all.
    pub fn column(&self, name: &str) -> Result<u16, String> {
        let found = self.columns.iter().position(|column| column == name);
        found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            match did_you_mean(name, self.columns.iter().map(String::as_str)) {
                Some(closest) => {
                    format!("data.{} has no column \"{name}\"; did you mean \"{closest}\"?", self.name)
                }
                None => {
                    format!("data.{} has no column \"{name}\"; it has {}", self.name, self.columns.join(", "))
                }
            }
        })
    }

    /// The value of a column in a row; absent where that row lacks it.
    #[inline]
    #[must_use]
    pub fn cell(&self, row: usize, column: u16) -> Option<&Value> {
        let column = usize::from(column);
        if column >= self.columns.len() {
            return None;
        }
        self.cells.get(row * self.columns.len() + column)?.as_ref()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}

/// What is wrong with a CSV text, without any of it.
fn csv_error(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or_else(String::new, |pos| format!("line {} ", pos.line()));
            format!(
                "{line}has {len} fields, the header line {expected_len}; put fields with commas in quotes"
            )
        }
        _ => "is not CSV (RFC 4180)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<Table, String> {
        Table::parse("users", DataFormat::Csv, text.as_bytes())
    }

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn csv_has_a_header_line_and_quoted_fields() {
        let table = csv("\u{feff}email, basket\r\na@x,\"1,\"\"2\"\"\"\r\n\r\nb@x,\n").unwrap();
        assert_eq!((table.columns().join("|").as_str(), table.rows()), ("email|basket", 2));
        assert_eq!(table.cell(0, 1), Some(&string("1,\"2\"")));
        assert_eq!(table.cell(1, 1), Some(&string("")));
        assert_eq!((table.cell(2, 0), table.cell(0, 2)), (None, None));
    }

    #[test]
    fn json_lines_keep_their_types_and_may_lack_fields() {
        let text = "{\"a\": 1, \"b\": [\"x\"]}\n\n{\"c\": null, \"a\": 2.5}\n";
        let table = Table::parse("rows", DataFormat::JsonLines, text.as_bytes()).unwrap();
        assert_eq!((table.columns().join("|").as_str(), table.rows()), ("a|b|c", 2));
        assert_eq!(table.cell(0, 0), Some(&Value::Int(1)));
        assert_eq!(table.cell(0, 1), Some(&Value::List([string("x")].into())));
        assert_eq!(table.cell(1, 0), Some(&Value::Double(2.5)));
        assert_eq!((table.cell(0, 2), table.cell(1, 2)), (None, Some(&Value::Null)));
    }

    #[test]
    fn wrong_tables_name_the_line_and_no_value() {
        for (format, text, message) in [
            (DataFormat::Csv, "", "has no row; give it at least one"),
            (DataFormat::Csv, "a,b\n", "has no row; give it at least one"),
            (DataFormat::Csv, "a,\n1,2\n", "column 2 of the header line has no name"),
            (DataFormat::Csv, "a,a\n1,2\n", "two columns are named \"a\"; rename one"),
            (
                DataFormat::Csv,
                "a,b\n1,2\ns3cret\n",
                "line 3 has 1 fields, the header line 2; put fields with commas in quotes",
            ),
            (DataFormat::JsonLines, "{\"a\": 1}\n{\"a\": s3cret}\n", "line 2 (column 7) is not JSON"),
            (
                DataFormat::JsonLines,
                "[1]",
                "line 1 is not a JSON object; write one like {\"name\": \"value\"}",
            ),
        ] {
            assert_eq!(Table::parse("t", format, text.as_bytes()).unwrap_err(), message);
        }
        let wrong = Table::parse("t", DataFormat::Csv, b"a\nb\n\xff").unwrap_err();
        assert_eq!(wrong, "line 3 is not UTF-8; save the file as UTF-8");
    }

    #[test]
    fn columns_are_found_or_the_nearest_named() {
        let table = csv("email,basket\na,b\n").unwrap();
        assert_eq!(table.column("basket"), Ok(1));
        assert_eq!(
            table.column("emial").unwrap_err(),
            "data.users has no column \"emial\"; did you mean \"email\"?"
        );
        assert_eq!(
            table.column("token").unwrap_err(),
            "data.users has no column \"token\"; it has email, basket"
        );
        assert!(!format!("{table:?}").contains("\"a\""));
    }
}
