//! What every answer about the settings has in common.

use sojourn_api as api;
use sojourn_core::{
    forecast::WouldEnd,
    settings::{Settings, Warning, differences},
};

pub fn warnings(warnings: impl IntoIterator<Item = Warning>) -> Vec<api::SettingsWarning> {
    let object =
        |warning: Warning| api::SettingsWarning { code: warning.code.to_owned(), message: warning.message };
    warnings.into_iter().map(object).collect()
}

pub const fn would_end(WouldEnd { now, within_one_hour }: WouldEnd) -> api::WouldEnd {
    api::WouldEnd { now, within_one_hour }
}

pub fn changes(before: &Settings, after: &Settings) -> Vec<api::SettingsDifference> {
    let found = differences(&before.config(), &after.config()).into_iter();
    found
        .map(|one| api::SettingsDifference { path: one.path, before: one.before, after: one.after })
        .collect()
}
