//! The settings in force: every change of them, their history, and those that are pinned.

mod change;
mod forecast;
mod history;
pub mod pinned;

pub use self::{
    change::{Author, ChangeRequest, Changed, SettingsError},
    history::VersionWithPredecessor,
    pinned::{Pin, Pins},
};
