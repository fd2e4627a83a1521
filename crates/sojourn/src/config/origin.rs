//! The source of a value, so that an error about a pin can name it.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Env(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file:{}:{line}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Flag(name) => write!(f, "flag:{name}"),
        }
    }
}

impl Origin {
    /// The source as text, for error messages.
    pub fn in_words(&self) -> String {
        match self {
            Self::Default => "the default".to_owned(),
            Self::File { path, line } => format!("{}, line {line}", path.display()),
            Self::Env(name) => format!("the environment variable {name}"),
            Self::Flag(name) => format!("the flag {name}"),
        }
    }
}

/// A value with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Sourced<T> {
    pub fn default_of(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// Whether file, environment or flags set the value: other interfaces cannot change it then.
    pub fn is_pinned(&self) -> bool {
        self.origin != Origin::Default
    }
}

impl<T> Deref for Sourced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
