//! Texts of one line: names and descriptions get into mails, logs, tables and files.

/// Whether a character changes what surrounds it: control characters, line and paragraph separators, and
/// the characters that reorder the text beside them (Unicode Bidirectional Algorithm, UAX #9).
pub fn is_disruptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text stays on its line, and changes nothing beside it.
pub fn is_line(text: &str) -> bool {
    !text.contains(is_disruptive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_lines_and_escapes_are_not() {
        for name in ["Ada", "Zoë", "李", "عائشة", "O\u{2019}Neill", "a\u{200f}b", ""] {
            assert!(is_line(name), "{name}");
        }
        for text in ["a\nb", "a\rb", "\u{1b}[8m", "a\tb", "a\u{2028}b", "\u{202e}gpj", "\u{7f}", "\u{85}"] {
            assert!(!is_line(text), "{text:?}");
        }
    }
}
