//! The manifest: one TOML file that says which reducer decides, what feeds it and what performs its intents.
//!
//! Reading it finds everything that is wrong with the text alone. Whether it fits the reducer is checked when the
//! workflow is loaded (`load`).

mod effects;
mod expand;
mod faults;
mod intents;
mod limits;
mod properties;
mod retention;
mod sections;
mod syntax;

use std::path::{Path, PathBuf};
use std::time::Duration;

use purefold_wit::Finding;
use sha2::{Digest, Sha256};

use super::{BreakerSettings, OnExhausted, Retry, StoreSettings};
use crate::journal::hex;
use crate::signing::TrustedKey;
use crate::source::{Feed, HttpSettings, KafkaSettings};
use crate::trace::TraceSettings;

pub(super) use effects::COMMON as COMMON_EFFECT_SETTINGS;
pub use expand::Variables;
pub use faults::FaultSettings;
pub use limits::{DEFAULT_EVENT_BYTES, DEFAULT_INBOX, DEFAULT_OUTSTANDING, DEFAULT_PARALLEL, LimitSettings};
pub use properties::PropertySettings;
pub use retention::{Entries, RetentionSettings};

/// The largest manifest that is read.
pub const MANIFEST_BYTES_MOST: u64 = 1 << 20;

/// How far an event's own time may be ahead of the clock, where the manifest does not say.
pub const DEFAULT_MAX_SKEW: Duration = Duration::from_secs(24 * 60 * 60);
/// How many accepted events are remembered to recognise duplicates, where the manifest does not say.
pub const DEFAULT_DEDUPE: u64 = 200_000;
/// How long a due timer waits for the source to be read past it, where the manifest does not say.
pub const DEFAULT_TIMER_WAIT: Duration = Duration::from_secs(30);

/// How long due timers wait for a source that is away, where the manifest does not say.
pub const DEFAULT_OUTAGE_WAIT: Duration = Duration::from_secs(60 * 60);

/// How an intent is retried, where its route does not say.
pub const DEFAULT_RETRY: Retry = Retry {
    attempts: 8,
    first: Duration::from_millis(200),
    most: Duration::from_secs(30),
    timeout: Duration::from_secs(60),
    deadline: Duration::from_secs(300),
};

/// When attempts are kept from a backend, where its effect does not say.
pub const DEFAULT_BREAKER: BreakerSettings = BreakerSettings { failures: 16, cooldown: Duration::from_secs(10) };

/// A manifest, parsed, with its `${NAME}` replaced.
///
/// Neither printable nor comparable: its values may hold secrets from the environment.
#[derive(Clone)]
pub struct Manifest {
    /// Where it was read from.
    pub path: PathBuf,
    /// The folder that its relative paths start from.
    pub folder: PathBuf,
    /// The text as written, with its `${NAME}` unexpanded.
    pub text: String,
    /// SHA-256 of [`Manifest::text`], lower-case hex.
    pub digest: String,
    /// The workflow's name.
    pub name: String,
    /// `[reducer]`
    pub reducer: ReducerSettings,
    /// `[source]`
    pub source: SourceSettings,
    /// `[inputs]`: CloudEvent type (or plain topic) and the input case that it feeds.
    pub inputs: Vec<(String, String)>,
    /// `[machine]`
    pub machine: Option<MachineSettings>,
    /// `[store]`
    pub store: StoreSettings,
    /// `[effects.NAME]`, as written.
    pub effects: Vec<EffectSettings>,
    /// `[intents.CASE]`, as written.
    pub intents: Vec<IntentSettings>,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[faults]`
    pub faults: FaultSettings,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// `[traces]`
    pub traces: Option<TraceSettings>,
    /// `[properties.NAME]`
    pub properties: Vec<PropertySettings>,
    /// `explore.events`: files of events that may arrive, relative to the manifest's folder.
    pub explore_events: Vec<String>,
    /// What the environment put into it.
    variables: Variables,
}

/// `[reducer]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReducerSettings {
    /// File name of the component, or its path relative to the manifest's folder.
    pub component: String,
    /// The field, in kebab case, by which events name their entity.
    pub key: String,
    /// Where there are any, one of these must have signed the component.
    pub trusted_keys: Vec<TrustedKey>,
    /// Whether one of them must also have certified it.
    pub require_certificate: bool,
}

/// `[source]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// How far an event's own time may be ahead of the clock, in virtual time.
    pub max_skew: Duration,
    /// How many of the latest accepted events are remembered to recognise duplicates.
    pub dedupe: u64,
    /// The longest that a due timer waits for the source to be read past it.
    pub timer_wait: Duration,
    /// The longest that it waits before for a source that is away.
    pub outage_wait: Duration,
    /// A file of events, one a line, resolved against the manifest's folder.
    pub file: Option<PathBuf>,
    /// Whether the file is read on as it grows.
    pub follow: bool,
    /// Where and how to listen for events.
    pub http: Option<HttpSettings>,
    /// Which topics to read, and as whom.
    pub kafka: Option<Box<KafkaSettings>>,
}

impl Default for SourceSettings {
    fn default() -> Self {
        SourceSettings {
            max_skew: DEFAULT_MAX_SKEW,
            dedupe: DEFAULT_DEDUPE,
            timer_wait: DEFAULT_TIMER_WAIT,
            outage_wait: DEFAULT_OUTAGE_WAIT,
            file: None,
            follow: false,
            http: None,
            kafka: None,
        }
    }
}

impl SourceSettings {
    /// Where events come from, where the manifest says so.
    #[must_use]
    pub fn feed(&self) -> Option<Feed> {
        match (&self.file, &self.http) {
            (Some(file), _) if self.follow => Some(Feed::Followed(file.clone())),
            (Some(file), _) => Some(Feed::File(file.clone())),
            (None, Some(http)) => Some(Feed::Http(http.clone())),
            (None, None) => self.kafka.clone().map(Feed::Kafka),
        }
    }
}

/// `[machine]`, all names in kebab case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineSettings {
    /// The state's field that holds the phase.
    pub field: String,
    /// Phases in which an entity may begin.
    pub start: Vec<String>,
    /// Phases from which an entity may end.
    pub end: Vec<String>,
    /// A phase and those that may follow it.
    pub transitions: Vec<(String, Vec<String>)>,
}

/// `[effects.NAME]`
#[derive(Clone)]
pub struct EffectSettings {
    /// The effect's name.
    pub name: String,
    /// `parallel`: attempts under way at a time, where it is not `limits.parallel`.
    pub parallel: Option<usize>,
    /// `breaker`
    pub breaker: BreakerSettings,
    /// The other settings, for the effect to read.
    pub settings: toml::Table,
}

/// `[intents.CASE]`
#[derive(Clone)]
pub struct IntentSettings {
    /// The intent case, in kebab case.
    pub case: String,
    /// The effect that performs it: a name of `[effects]`, `timer` or `deliver`. Empty where the manifest fails to say.
    pub effect: String,
    /// The input case that takes its outcome.
    pub outcome: Option<String>,
    /// Earlier cases of the same decision that must have succeeded first.
    pub after: Vec<String>,
    /// What becomes of it when its attempts are used up, where the manifest says so.
    pub on_exhausted: Option<OnExhausted>,
    /// How often and how long to try.
    pub retry: Retry,
    /// The common settings that the manifest spells out, by name.
    pub spelled: Vec<&'static str>,
    /// The settings that belong to the effect.
    pub settings: toml::Table,
}

impl Manifest {
    /// Reads the manifest at `path`; `environment` answers for `${NAME}`.
    ///
    /// The manifest is given even where there are findings (as far as it could be understood), so that the checks
    /// against the reducer can report theirs in the same run. It is none only where the text is no TOML at all.
    #[must_use]
    pub fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> (Option<Manifest>, Vec<Finding>) {
        match syntax::text(path) {
            Ok(text) => Manifest::parse(path, &text, environment),
            Err(finding) => (None, vec![finding]),
        }
    }

    /// As [`Manifest::read`], from a text that stands at `path`.
    #[must_use]
    pub fn parse(path: &Path, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> (Option<Manifest>, Vec<Finding>) {
        let mut table = match syntax::table(text) {
            Ok(table) => table,
            Err(finding) => return (None, vec![finding]),
        };
        let mut findings = Vec::new();
        let variables = expand::expand(&mut table, environment, &mut findings);
        let folder = syntax::folder(path);
        let mut manifest = Manifest {
            path: path.to_path_buf(),
            folder,
            text: text.to_owned(),
            digest: hex(&Sha256::digest(text.as_bytes())),
            name: String::new(),
            reducer: ReducerSettings::default(),
            source: SourceSettings::default(),
            inputs: Vec::new(),
            machine: None,
            store: StoreSettings { location: PathBuf::new().into(), id: None },
            effects: Vec::new(),
            intents: Vec::new(),
            limits: LimitSettings::default(),
            faults: FaultSettings::default(),
            retention: RetentionSettings::default(),
            traces: None,
            properties: Vec::new(),
            explore_events: Vec::new(),
            variables,
        };
        sections::fill(&mut manifest, &table, &mut findings);
        for finding in &mut findings {
            manifest.variables.redact(finding);
        }
        (Some(manifest), findings)
    }

    /// What one decision may use.
    #[must_use]
    pub fn limits(&self) -> crate::sandbox::Limits {
        self.limits.sandbox()
    }

    /// The values that came from the environment, to be kept out of whatever is shown.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }
}
