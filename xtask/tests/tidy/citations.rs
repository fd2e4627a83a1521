//! Citations must refer to something in the repository: requirement ids, decisions, and the tests
//! that show a requirement.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{files, none, root, with_extension};

const LONGEST_TEST_NAME: usize = 60;

/// The last column of a row in docs/requirements.md.
struct Shown {
    file: String,
    test: String,
}

/// The rows of docs/requirements.md by id; `None` means "not yet".
fn requirements() -> BTreeMap<String, Option<Shown>> {
    let text = fs::read_to_string(root().join("docs/requirements.md")).expect("the requirements");
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [id, _, shown] = cells[..] else { continue };
        if !is_requirement_id(id) {
            continue;
        }
        let shown = shown.trim();
        let shown = (shown != "not yet").then(|| {
            let (file, test) = shown
                .strip_prefix('`')
                .and_then(|rest| rest.split_once("` "))
                .unwrap_or_else(|| panic!("{id}: write `file` test, or not yet: {shown}"));
            Shown { file: file.to_owned(), test: test.trim_matches('"').to_owned() }
        });
        assert!(rows.insert(id.to_owned(), shown).is_none(), "{id} is in docs/requirements.md twice");
    }
    assert!(rows.len() > 50, "the tables of docs/requirements.md could not be read");
    rows
}

/// `S7`, `D12`, `I3`, `R-08` or `AUT-13`.
fn is_requirement_id(word: &str) -> bool {
    let digits = |text: &str, lengths: &[usize]| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match word.split_once('-') {
        Some((family, number)) => {
            (family == "R" || family.len() == 3 && family.bytes().all(|byte| byte.is_ascii_uppercase()))
                && digits(number, &[2])
        }
        None => word.strip_prefix(['S', 'D', 'I']).is_some_and(|number| digits(number, &[1, 2])),
    }
}

/// The requirement id at the start of a test's name: `aut_13_…` or `s7_…`.
fn id_of_test(name: &str) -> Option<String> {
    let mut parts = name.split('_');
    let family = parts.next()?.to_uppercase();
    let id = match parts.next() {
        Some(number) if is_requirement_id(&format!("{family}-{number}")) => format!("{family}-{number}"),
        _ => family,
    };
    is_requirement_id(&id).then_some(id)
}

/// Every text file of ours except lock files.
fn texts() -> Vec<(PathBuf, String)> {
    let generated = ["Cargo.lock", "package-lock.json"];
    files()
        .into_iter()
        .filter(|path| !generated.iter().any(|name| path.ends_with(name)))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

/// The names of the test functions of a Rust file.
fn test_names(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#["))
        .filter_map(|pair| {
            let start = pair[1].strip_prefix("async ").unwrap_or(pair[1]).strip_prefix("fn ")?;
            start.split('(').next()
        })
        .collect()
}

#[test]
fn every_cited_requirement_is_in_the_list() {
    let known = requirements();
    let mut complaints = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let words =
                line.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_');
            for word in words.filter(|word| is_requirement_id(word) && !known.contains_key(*word)) {
                complaints.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
        if path.extension().is_some_and(|extension| extension == "rs") {
            for id in test_names(&text).into_iter().filter_map(id_of_test) {
                if !known.contains_key(&id) {
                    complaints.push(format!("{}: a test named after {id}", path.display()));
                }
            }
        }
    }
    if !complaints.is_empty() {
        complaints.insert(0, "not in docs/requirements.md; add a row or cite another id:".to_owned());
    }
    none(&complaints);
}

#[test]
fn every_test_that_shows_a_requirement_exists() {
    let texts = texts();
    let mut complaints = Vec::new();
    for (id, shown) in requirements() {
        let Some(Shown { file, test }) = shown else { continue };
        let wanted = if Path::new(&file).extension().is_some_and(|extension| extension == "rs") {
            format!("fn {test}(")
        } else {
            format!("('{test}'")
        };
        if !texts.iter().any(|(path, text)| path.ends_with(&file) && text.contains(&wanted)) {
            complaints.push(format!("{id}: no {file} has a test {test}"));
        }
    }
    if !complaints.is_empty() {
        complaints.insert(0, "change the last column of docs/requirements.md:".to_owned());
    }
    none(&complaints);
}

#[test]
fn every_cited_decision_has_its_page() {
    let pages: BTreeSet<u32> = fs::read_dir(root().join("docs/decisions"))
        .expect("the decisions")
        .filter_map(|entry| entry.expect("a readable entry").file_name().to_str()?.get(..4)?.parse().ok())
        .collect();
    let index = fs::read_to_string(root().join("docs/decisions/README.md")).expect("the index");
    let mut complaints = Vec::new();
    for page in pages.iter().filter(|page| !index.contains(&format!("[{page:04}]"))) {
        complaints.push(format!("docs/decisions/README.md does not list {page:04}"));
    }
    for (path, text) in texts() {
        for number in cited_decisions(&text).into_iter().filter(|number| !pages.contains(number)) {
            complaints.push(format!("{}: there is no decision {number} in docs/decisions", path.display()));
        }
    }
    none(&complaints);
}

/// The numbers in "decision 7", also across lines of a comment, and in "decisions/0007".
fn cited_decisions(text: &str) -> Vec<u32> {
    let leading_number = |word: &str| {
        let end = word.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(word.len());
        word[..end].parse().ok()
    };
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.contains(|letter: char| letter.is_alphanumeric()))
        .collect();
    let spoken = words.windows(2).filter_map(|pair| {
        let word = pair[0].trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
        (word == "decision").then(|| leading_number(pair[1]))?
    });
    let linked = text.split("decisions/").skip(1).filter_map(leading_number);
    spoken.chain(linked).collect()
}

#[test]
fn a_decision_is_found_in_words_and_in_a_path() {
    let number = 7;
    let text =
        format!("/// as decided (decision\n/// {number}), see docs/decisions/{:04}-name.md", number + 1);
    assert_eq!(cited_decisions(&text), [7, 8]);
    assert_eq!(cited_decisions("a decision that rests on 3 rows"), []);
}

#[test]
fn nothing_cites_notes_that_are_not_in_the_repository() {
    let notes = [
        "product",
        "security",
        "performance",
        "ux",
        "style",
        "peers",
        "redesign",
        "wire-frontend",
        "wire-backend",
    ];
    let mut complaints = Vec::new();
    for (path, text) in texts() {
        for name in notes.map(|note| format!("{note}.md")) {
            let cited = text.match_indices(&name).any(|(at, _)| {
                !text[..at]
                    .ends_with(|letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_')
            });
            if cited {
                complaints.push(format!("{}: {name}", path.display()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn test_names_have_sixty_characters_at_most() {
    let mut complaints = Vec::new();
    for (path, text) in with_extension(&["rs"]) {
        for name in test_names(&text).into_iter().filter(|name| name.len() > LONGEST_TEST_NAME) {
            complaints.push(format!("{}: {name}: {} characters", path.display(), name.len()));
        }
    }
    none(&complaints);
}
