//! The only file that writes to stdout: data goes to stdout, messages go to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use sojourn_core::line::is_disruptive;

use crate::failure::{Exit, Failure};

/// Writes `text` and a line end to stdout.
///
/// A reader that closed the pipe (`sojourn sessions list | head`) is not an error.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Other, "stdout_not_writable", "cannot write the answer to stdout")
                .because(error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Writes one message to stderr. A failure is ignored, because there is no other output for it.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text without control characters: with those, text from elsewhere could forge lines, and change
/// what a terminal shows.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_disruptive(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether stderr may use colours: it is a terminal, and `NO_COLOR` is unset or empty.
pub fn colour_on_stderr() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stderr().is_terminal()
}

/// A table with columns as wide as their widest cell, two spaces apart, without trailing spaces. Cells
/// hold what strangers wrote, so they are made [`printable`].
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .chain([head[column].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let render = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![render(head.to_vec())];
    lines.extend(rows.iter().map(|row| render(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_leave_its_line() {
        let rows = vec![vec!["x)\n2026-11-29  system\u{1b}[8m".to_owned()]];
        assert_eq!(table(&["NAME"], &rows), "NAME\nx)\u{fffd}2026-11-29  system\u{fffd}[8m");
    }

    #[test]
    fn a_table_aligns_its_columns_and_leaves_no_trailing_blanks() {
        let rows =
            vec![vec!["sess_1".to_owned(), "active".to_owned()], vec!["sess_long".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "STATUS"], &rows), "ID         STATUS\nsess_1     active\nsess_long");
    }
}
