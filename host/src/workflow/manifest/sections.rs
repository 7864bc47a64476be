//! From a table to a manifest, section by section.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use purefold_effects::settings::Settings;
use purefold_wit::{Finding, uuid};
use toml::{Table, Value};

use super::{
    FaultSettings, LimitSettings, MachineSettings, Manifest, ReducerSettings, RetentionSettings, SourceSettings, effects, intents,
    properties,
};
use crate::signing::TrustedKey;
use crate::source::{HttpSettings, KafkaSettings};
use crate::store::{Location, Place};
use crate::trace::TraceSettings;

/// Names end up in ids, logs and tables.
const NAME_BYTES_MOST: usize = 128;
const MAX_SKEW_MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const TIMER_WAIT_MOST: Duration = Duration::from_secs(60 * 60);

/// Longest `source.outage-wait`.
const OUTAGE_WAIT_MOST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DEDUPE_MOST: i64 = 100_000_000;

/// Fills the manifest from `table`. What cannot be read is told in `findings` and left as it was.
pub(super) fn fill(manifest: &mut Manifest, table: &Table, findings: &mut Vec<Finding>) {
    let mut top = Settings::new(table, "");
    if let Some(name) = top.required("name", Settings::string) {
        manifest.name = name.to_owned();
        name_of_workflow(&mut top, name);
    }
    if let Some(reducer) = section(&mut top, "reducer", "`component` and `key`") {
        manifest.reducer = self::reducer(reducer, &mut top);
    }
    if let Some(source) = top.nested("source") {
        manifest.source = self::source(source, manifest, &mut top);
    }
    if let Some(inputs) = top.table("inputs") {
        manifest.inputs = self::inputs(inputs, &mut top);
    }
    if let Some(machine) = top.nested("machine") {
        manifest.machine = self::machine(machine, &mut top);
    }
    if let Some(store) = section(&mut top, "store", "`sqlite = \"…\"`") {
        self::store(store, manifest, &mut top);
    }
    if let Some(settings) = top.nested("effects") {
        manifest.effects = effects::read(settings, &mut top);
    }
    if let Some(routes) = top.nested("intents") {
        manifest.intents = intents::read(routes, &mut top);
    }
    if let Some(limits) = top.nested("limits") {
        let (limits, found) = LimitSettings::read(limits);
        manifest.limits = limits;
        top.absorb(found);
    }
    if let Some(faults) = top.nested("faults") {
        let (faults, found) = FaultSettings::read(faults);
        manifest.faults = faults;
        top.absorb(found);
    }
    if let Some(retention) = top.nested("retention") {
        let (retention, found) = RetentionSettings::read(retention);
        manifest.retention = retention;
        top.absorb(found);
    }
    if let Some(traces) = top.nested("traces") {
        let (traces, found) = TraceSettings::read(traces);
        manifest.traces = traces;
        top.absorb(found);
    }
    if let Some(properties) = top.nested("properties") {
        manifest.properties = properties::read(properties, &mut top);
    }
    if let Some(explore) = top.nested("explore") {
        manifest.explore_events = properties::read_explore(explore, &mut top);
    }
    findings.extend(top.finish());
}

/// A section that every manifest has.
fn section<'a>(top: &mut Settings<'a>, name: &str, with: &str) -> Option<Settings<'a>> {
    if !top.has(name) {
        top.report("setting-missing", name, format!("there is no section `[{name}]`"), format!("add `[{name}]` with {with}"));
    }
    top.nested(name)
}

fn name_of_workflow(top: &mut Settings<'_>, name: &str) {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !plain || name.len() > NAME_BYTES_MOST {
        let help = format!("use letters, digits, `-`, `_` and `.`, {NAME_BYTES_MOST} at most");
        top.report("setting-range", "name", format!("`{name}` is not a workflow's name"), help);
    }
}

fn reducer(mut settings: Settings<'_>, top: &mut Settings<'_>) -> ReducerSettings {
    let component = settings.required("component", Settings::string).unwrap_or_default().to_owned();
    let key = settings.required("key", Settings::string).unwrap_or_default().to_owned();
    let trusted = settings.strings("trusted-keys");
    if trusted.as_ref().is_some_and(Vec::is_empty) {
        let help = "name the public keys that sign components here, or leave the setting out";
        settings.report("setting-range", "trusted-keys", "nobody is trusted: no component could ever run", help);
    }
    let mut trusted_keys = Vec::new();
    for text in trusted.unwrap_or_default() {
        match TrustedKey::read(text) {
            Ok(key) => trusted_keys.push(key),
            Err(reason) => {
                let help = "write the second line of a public key's file, as `purefold key` or minisign made it";
                settings.report("setting-type", "trusted-keys", format!("`{text}` is no public key: {reason}"), help);
            }
        }
    }
    let require_certificate = settings.boolean("require-certificate").unwrap_or_default();
    if require_certificate && !settings.has("trusted-keys") {
        let help = "add `trusted-keys = [\"…\"]`, or remove `require-certificate`";
        settings.report(
            "setting-missing",
            "trusted-keys",
            "`require-certificate` is set, and nobody is trusted to have certified anything",
            help,
        );
    }
    top.absorb(settings.finish());
    ReducerSettings { component, key, trusted_keys, require_certificate }
}

fn source(mut settings: Settings<'_>, manifest: &Manifest, top: &mut Settings<'_>) -> SourceSettings {
    let mut source = SourceSettings::default();
    if let Some(max_skew) = settings.duration("max-skew", Duration::ZERO..=MAX_SKEW_MOST) {
        source.max_skew = max_skew;
    }
    if let Some(dedupe) = settings.integer("dedupe", 0..=DEDUPE_MOST) {
        source.dedupe = dedupe.unsigned_abs();
    }
    if let Some(timer_wait) = settings.duration("timer-wait", Duration::ZERO..=TIMER_WAIT_MOST) {
        source.timer_wait = timer_wait;
    }
    if let Some(outage_wait) = settings.duration("outage-wait", Duration::ZERO..=OUTAGE_WAIT_MOST) {
        source.outage_wait = outage_wait;
    }
    source.file = settings.path("file", &manifest.folder);
    source.follow = settings.boolean("follow").unwrap_or_default();
    if source.follow && !settings.has("file") {
        settings.report("setting-missing", "file", "`follow` is set, and no file to be followed", "add `file = …`, or remove `follow`");
    }
    if let Some(http) = settings.nested("http") {
        if settings.has("file") {
            settings.report("source-twice", "http", "`file` and `http` are both set, and a host has one source", "remove one of them");
        }
        let (http, found) = HttpSettings::read(http);
        source.http = http;
        settings.absorb(found);
    }
    if let Some(kafka) = settings.nested("kafka") {
        if let Some(other) = ["file", "http"].into_iter().find(|other| settings.has(other)) {
            let cause = format!("`{other}` and `kafka` are both set, and a host has one source");
            settings.report("source-twice", "kafka", cause, "remove one of them");
        }
        let (kafka, found) = KafkaSettings::read(kafka, &manifest.folder);
        source.kafka = kafka.map(Box::new);
        settings.absorb(found);
    }
    top.absorb(settings.finish());
    source
}

fn inputs(table: &Table, top: &mut Settings<'_>) -> Vec<(String, String)> {
    let mut inputs = Vec::with_capacity(table.len());
    for (event, case) in table {
        match case {
            Value::String(case) if !event.is_empty() => inputs.push((event.clone(), case.clone())),
            _ => top.absorb([Finding::new(
                "setting-type",
                format!("inputs.{event:?}"),
                "an input is a CloudEvent type and the text that names its input case",
                "write `\"the.event.type\" = \"input-case\"`",
            )]),
        }
    }
    inputs
}

fn machine(mut settings: Settings<'_>, top: &mut Settings<'_>) -> Option<MachineSettings> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let field = settings.required("field", Settings::string).map(str::to_owned);
    let start = owned(settings.required("start", Settings::strings).unwrap_or_default());
    let end = owned(settings.strings("end").unwrap_or_default());
    let phases: Vec<&str> = settings.names().filter(|name| !matches!(*name, "field" | "start" | "end")).collect();
    let transitions = phases.into_iter().map(|phase| (phase.to_owned(), owned(settings.strings(phase).unwrap_or_default()))).collect();
    top.absorb(settings.finish());
    Some(MachineSettings { field: field?, start, end, transitions })
}

fn store(mut settings: Settings<'_>, manifest: &mut Manifest, top: &mut Settings<'_>) {
    let (sqlite, postgres) = (settings.has("sqlite"), settings.has("postgres"));
    if sqlite && postgres {
        settings.report("backend-twice", "postgres", "both `sqlite` and `postgres` are set", "keep one: a journal is in one place");
    }
    if postgres {
        let place = Place::read(&mut settings, &manifest.folder);
        manifest.store.location = place.map_or_else(|| PathBuf::new().into(), |place| Location::Postgres(Arc::new(place)));
    } else if let Some(sqlite) = settings.required("sqlite", |settings, name| settings.path(name, &manifest.folder)) {
        manifest.store.location = Location::Sqlite(sqlite);
    }
    if let Some(id) = settings.string("id") {
        manifest.store.id = uuid::parse(id);
        if manifest.store.id.is_none() {
            settings.report("setting-type", "id", "it is not a UUID", "write it as 8-4-4-4-12 hexadecimal digits, or leave it out");
        }
    }
    top.absorb(settings.finish());
}
