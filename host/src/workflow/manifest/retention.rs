//! `[retention]`: what is forgotten, and when.

use std::time::Duration;

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

/// What a lifetime is set to where nothing is to be forgotten.
const KEEP: &str = "keep";

const LIFETIME_LEAST: Duration = Duration::from_secs(1);
const LIFETIME_MOST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
const DECISIONS_MOST: i64 = 1_000_000_000_000;

/// How much of each entity's entries is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entries {
    /// All.
    #[default]
    All,
    /// Those of this time.
    For(Duration),
    /// Those of so many decisions.
    Decisions(u64),
}

/// `[retention]`. Where it says nothing, everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// `journal`
    pub journal: Entries,
    /// `ended`: how long the entries of an entity without a state are kept, from its last one on.
    pub ended: Option<Duration>,
    /// `events`: how long the original bytes of events are kept.
    pub events: Option<Duration>,
    /// `dead-letters`
    pub dead_letters: Option<Duration>,
}

impl RetentionSettings {
    pub(super) fn read(mut settings: Settings<'_>) -> (Self, Vec<Finding>) {
        let journal = match settings.raw("journal") {
            Some(toml::Value::Integer(_)) => settings
                .integer("journal", 1..=DECISIONS_MOST)
                .map_or(Entries::All, |decisions| Entries::Decisions(decisions.unsigned_abs())),
            _ => lifetime(&mut settings, "journal").map_or(Entries::All, Entries::For),
        };
        let ended = lifetime(&mut settings, "ended");
        let events = lifetime(&mut settings, "events");
        let dead_letters = lifetime(&mut settings, "dead-letters");
        (RetentionSettings { journal, ended, events, dead_letters }, settings.finish())
    }

    /// Whether anything is ever forgotten.
    #[must_use]
    pub fn forgets(&self) -> bool {
        *self != RetentionSettings::default()
    }
}

fn lifetime(settings: &mut Settings<'_>, name: &str) -> Option<Duration> {
    if settings.raw(name).and_then(toml::Value::as_str) == Some(KEEP) {
        return None;
    }
    settings.duration(name, LIFETIME_LEAST..=LIFETIME_MOST)
}
