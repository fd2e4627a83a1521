//! Settings that the configuration fixes. At start they become a settings version, and no other
//! interface can change them.

use std::time::Duration;

use serde_json::Value;
use sojourn_core::{
    audit::{AuditContext, SystemJob},
    settings::{Change, Refusal, RefusalReason, Setting, Settings, registry::value_at},
    time::seconds,
};
use sojourn_store::{Engine as _, StoreError};

use super::{Author, ChangeRequest, SettingsError};
use crate::{Service, StartError, keys::sha256};

/// Lease duration: how long a node counts as running after it last renewed its lease.
const LEASE: Duration = seconds(30);
const RENEWED_EVERY: Duration = seconds(10);

#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    pub setting: &'static Setting,
    pub value: Value,
    /// The source: `file:sojourn.toml`, `env:SOJOURN_…`, `flag`.
    pub origin: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pins(pub Vec<Pin>);

impl Pins {
    /// Checks that a change to `after` does not change a pinned value.
    ///
    /// # Errors
    /// The pin that the change would violate.
    pub(super) fn allow(&self, before: &Settings, after: &Settings) -> Result<(), &Pin> {
        let (before, after) = (before.config(), after.config());
        let breaks = |pin: &&Pin| {
            let after = value_at(&after, pin.setting.path);
            after != value_at(&before, pin.setting.path) && after != &pin.value
        };
        self.0.iter().find(breaks).map_or(Ok(()), Err)
    }

    /// The source of the first pin that changes a value.
    pub(super) fn author_of(&self, before: &Settings, after: &Settings) -> String {
        let (before, after) = (before.config(), after.config());
        let differs = |pin: &&Pin| value_at(&before, pin.setting.path) != value_at(&after, pin.setting.path);
        self.0.iter().find(differs).map_or_else(|| "system".to_owned(), |pin| pin.origin.clone())
    }

    fn change(&self) -> Change {
        self.0.iter().fold(Change::default(), |change, pin| change.and(pin.setting, pin.value.clone()))
    }

    /// The pin that a refusal is about.
    fn at(&self, refusal: &Refusal) -> Option<&Pin> {
        self.0.iter().find(|pin| pin.setting.path == refusal.path)
    }

    /// Equal for equal pinned values, independent of their sources.
    fn fingerprint(&self) -> String {
        let mut values: Vec<String> =
            self.0.iter().map(|pin| format!("{}={}", pin.setting.path, pin.value)).collect();
        values.sort_unstable();
        hex::encode(sha256(values.join("\n").as_bytes()))
    }
}

impl Service {
    /// Renews this node's lease on its pins. Returns false if a node with other pins is running.
    /// All nodes with the same pins share one lease.
    async fn hold_pins(&self) -> Result<bool, StoreError> {
        // An embedded database has only one process, so a restart with other pins does not have to
        // wait.
        if !self.store().is_shared() {
            return Ok(true);
        }
        let wall = self.moment().wall;
        let holder = self.pins().fingerprint();
        self.store().take_lease(self.instance_id(), "pins", &holder, wall, wall + LEASE).await
    }

    /// Prevents nodes with other pins from starting, until the server stops.
    pub async fn renew_pins_lease_loop(&self) {
        let mut timer = tokio::time::interval(RENEWED_EVERY);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            match self.hold_pins().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        "another node runs with other pinned settings: give all nodes the same configuration"
                    );
                }
                Err(error) => tracing::warn!(%error, "could not renew the lease on the pinned settings"),
            }
        }
    }

    /// Stores the pins as a settings version.
    pub(crate) async fn apply_pins(&self) -> Result<(), StartError> {
        let pins = self.pins();
        let change = pins.change();
        if !pins.0.is_empty() {
            let (settings, _) = self.store().settings(self.instance_id()).await?;
            // Check the pins before acquiring the lease: a node with invalid pins must not block
            // others.
            settings.with(&change, self.environment()).map_err(|refusal| cannot_be(pins, &refusal))?;
        }
        if !self.hold_pins().await? {
            let seconds = LEASE.as_secs();
            return Err(StartError::Pins(format!(
                "another node of this instance runs with other pinned settings, so each would undo what the other pins; give all nodes the same sojourn.toml and SOJOURN_ variables, or stop the others and wait {seconds} s"
            )));
        }
        if pins.0.is_empty() {
            return Ok(());
        }
        let context = AuditContext::system(SystemJob::Configuration);
        match self.set_settings(&ChangeRequest::by(Author::Pins, context), &change).await {
            Ok(changed) => {
                for warning in changed.after.warnings() {
                    let is_pinned = |pin: &Pin| warning.is_about(pin.setting.path);
                    if let Some(pin) = pins.0.iter().find(|pin| is_pinned(pin)) {
                        tracing::warn!(code = warning.code, pinned_in = pin.origin, "{}", warning.message);
                    }
                }
                Ok(())
            }
            Err(SettingsError::Refused(refusal)) => Err(cannot_be(pins, &refusal)),
            Err(SettingsError::Commit(error)) => Err(error.into()),
            Err(error) => Err(StartError::Pins(error.to_string())),
        }
    }
}

fn cannot_be(pins: &Pins, refusal: &Refusal) -> StartError {
    let place = pins.at(refusal).map(|pin| format!(" (from {})", pin.origin)).unwrap_or_default();
    let code = match refusal.why {
        RefusalReason::NeitherLimit => " (session_lifetime_required)",
        _ => "",
    };
    StartError::Pins(format!("the configuration cannot be put into force: {refusal}{place}{code}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sojourn_core::{environment::Environment, settings::registry, time::Timestamp};

    use super::*;

    const MAXIMUM: &str = "session_settings.maximum_lifetime.duration_seconds";

    fn pins() -> Pins {
        let pin = |path, value| Pin {
            setting: registry::find(path).expect("a setting"),
            value,
            origin: "file:x".to_owned(),
        };
        Pins(vec![pin(MAXIMUM, json!(3600)), pin("paths.home_url", json!("https://example.com/"))])
    }

    fn settings(seconds: u64, home_url: Option<&str>, name: &str) -> Settings {
        let of = |path, value: Value| (registry::find(path).expect("a setting"), value);
        let change = [
            of(MAXIMUM, json!(seconds)),
            of("paths.home_url", json!(home_url)),
            of("application_name", json!(name)),
        ];
        let change = change.into_iter().fold(Change::default(), |all, (one, value)| all.and(one, value));
        Settings::initial(Timestamp::from_millis(0))
            .with(&change, Environment::Development)
            .expect("settings that can be")
    }

    #[test]
    fn a_pinned_value_changes_neither_to_another_nor_to_none() {
        let home = Some("https://example.com/");
        let before = settings(3600, home, "x");
        for (after, broken) in
            [(settings(60, home, "x"), MAXIMUM), (settings(3600, None, "x"), "paths.home_url")]
        {
            let pins = pins();
            let pin = pins.allow(&before, &after).expect_err("refused");
            assert_eq!((pin.setting.path, pin.origin.as_str()), (broken, "file:x"));
        }
    }

    #[test]
    fn a_pinned_value_may_stay_or_become_what_it_is_pinned_to() {
        let home = Some("https://example.com/");
        pins().allow(&settings(3600, home, "x"), &settings(3600, home, "y")).expect("another name");
        pins().allow(&settings(60, home, "x"), &settings(3600, home, "x")).expect("to the pin");
    }
}
