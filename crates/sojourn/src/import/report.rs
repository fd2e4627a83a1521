//! What became of each row, as a file: CSV, or lines of JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::json;

use super::Parsed;

const HEADER: [&str; 8] = ["row", "source_id", "result", "user_id", "field", "why", "next", "left_out"];

/// A report that is being written.
#[derive(Debug)]
pub struct Report {
    file: BufWriter<File>,
    is_json: bool,
}

impl Report {
    /// Makes the file, which only this user may read: it has ids and addresses. One that exists is not
    /// overwritten.
    ///
    /// # Errors
    /// The file exists, or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let is_json = path.extension().is_some_and(|end| end == "jsonl" || end == "ndjson" || end == "json");
        let mut report = Self { file: BufWriter::new(file), is_json };
        if !is_json {
            report.line(&HEADER.map(str::to_owned))?;
        }
        Ok(report)
    }

    /// Adds a row. `why` is a field and a reason; of an account that exists, the field only.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn row(
        &mut self,
        parsed: &Parsed,
        result: &str,
        user_id: Option<&str>,
        why: Option<(&str, &str)>,
        next: Option<&str>,
    ) -> io::Result<()> {
        let (field, why) = why.unwrap_or_default();
        if self.is_json {
            let row = json!({
                "row": parsed.place, "source_id": parsed.source_id, "result": result, "user_id": user_id,
                "field": Some(field).filter(|field| !field.is_empty()), "why": Some(why).filter(|why| !why.is_empty()),
                "next": next, "left_out": parsed.left_out,
            });
            return writeln!(self.file, "{row}");
        }
        self.line(&[
            parsed.place.to_string(),
            parsed.source_id.clone().unwrap_or_default(),
            result.to_owned(),
            user_id.unwrap_or_default().to_owned(),
            field.to_owned(),
            why.to_owned(),
            next.unwrap_or_default().to_owned(),
            parsed.left_out.join(", "),
        ])
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn line(&mut self, cells: &[String; 8]) -> io::Result<()> {
        let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
        line.write_record(cells.iter().map(|cell| harmless(cell)))?;
        let line = line.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.file.write_all(&line)
    }
}

/// A spreadsheet must not take a cell of a foreign file for a formula.
fn harmless(cell: &str) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_in_a_cell_is_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(harmless(cell), format!("'{cell}"));
        }
        assert_eq!(harmless("user_2kX"), "user_2kX");
    }
}
