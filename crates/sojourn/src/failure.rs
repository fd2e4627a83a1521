//! Every error of the binary, in one form: what happened, why, and what to do next.

use std::fmt;

use crate::output::printable;

/// The exit code of a failed command.
///
/// The numbers are a stable interface for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Other = 1,
    Usage = 2,
    NotFound = 3,
    NotAuthorised = 4,
    Rejected = 5,
    Unreachable = 6,
    /// The compared settings differ.
    Differs = 9,
}

/// An error in three parts, with a stable code for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    pub exit: Exit,
    pub code: String,
    pub what: String,
    pub why: Option<String>,
    pub next: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, code: &str, what: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), what: what.into(), why: None, next: None }
    }

    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The form for `--json`: one object for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": {
                "code": self.code,
                "message": self.what,
                "detail": self.why,
                "hint": self.next,
            }
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.what))?;
        for line in self.why.iter().flat_map(|why| why.lines()) {
            write!(f, "\n  {}", printable(line))?;
        }
        for (index, line) in self.next.iter().flat_map(|next| next.lines()).enumerate() {
            let label = if index == 0 { "try: " } else { "     " };
            write!(f, "\n  {label}{}", printable(line))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_forge_lines_or_colours() {
        let failure = Failure::new(Exit::Other, "any", "no table \"a\ntry: b\"").because("\u{1b}[32mgood");
        insta::assert_snapshot!(failure, @r#"
        no table "a�try: b"
          �[32mgood
        "#);
    }

    #[test]
    fn a_failure_says_what_happened_and_why_and_what_to_do_next() {
        let failure = Failure::new(Exit::Rejected, "session_lifetime_required", "cannot do it")
            .because("at least one limit must be on")
            .next("sojourn settings set …\nsojourn settings get");
        insta::assert_snapshot!(failure, @"
        cannot do it
          at least one limit must be on
          try: sojourn settings set …
               sojourn settings get
        ");
    }
}
