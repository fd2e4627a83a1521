//! The settings: changes, history and pins.

mod change;
mod forecast;
mod history;
pub mod pinned;

pub use self::{
    change::{Author, ChangeRequest, Changed, SettingsError},
    history::VersionWithPredecessor,
    pinned::{Pin, Pins},
};
