//! What a manifest in which all is well comes to.

use std::time::Duration;

use purefold_wit::{UnknownFields, Value};
use sha2::{Digest, Sha256};

use super::super::manifest::{
    DEFAULT_BREAKER, DEFAULT_DEDUPE, DEFAULT_MAX_SKEW, DEFAULT_OUTAGE_WAIT, DEFAULT_PARALLEL, DEFAULT_RETRY, DEFAULT_TIMER_WAIT,
    LimitSettings,
};
use super::super::{BreakerSettings, EffectLimits, EffectRoute, OnExhausted, OutcomeField, Retry, RoutePlan, Workflow};
use super::reducer;
use super::{Folder, MANIFEST, loaded};

fn effect<'a>(workflow: &'a Workflow, case: &str) -> &'a EffectRoute {
    let (index, _) = workflow.contract.intent.case(case).unwrap();
    match &workflow.routes[index as usize] {
        RoutePlan::Effect(route) => route,
        _ => panic!("`{case}` is not performed by an effect"),
    }
}

#[test]
fn every_intent_has_its_route() {
    let workflow = loaded(Folder::new().load(MANIFEST));
    let kinds: Vec<String> = workflow
        .routes
        .iter()
        .map(|route| match route {
            RoutePlan::Effect(route) => route.effect.to_string(),
            RoutePlan::Timer { input_case } => format!("timer for {input_case}"),
            RoutePlan::TimerCancel => "timer-cancel".to_owned(),
            RoutePlan::Deliver(route) => format!("{}: {} by {}", route.workflow, route.input, route.key_field),
        })
        .collect();
    assert_eq!(kinds, ["notes", "prices", "news", "parcels: scanned by 0", "timer for 7", "timer-cancel"]);
    let effects: Vec<&str> = workflow.effects.iter().map(|(name, _)| &**name).collect();
    assert_eq!(effects, ["notes", "prices", "news"]);
}

#[test]
fn outcomes_are_filled_by_result_intent_id_and_echoes() {
    let workflow = loaded(Folder::new().load(MANIFEST));
    let outcome = effect(&workflow, "ask-price").outcome.as_ref().unwrap();
    assert_eq!(outcome.input_case, 3);
    assert_eq!(outcome.fields, [OutcomeField::Echo(0), OutcomeField::Result, OutcomeField::IntentId]);
    let outcome = effect(&workflow, "write-note").outcome.as_ref().unwrap();
    assert_eq!(outcome.fields, [OutcomeField::Result]);
    assert!(effect(&workflow, "tell").outcome.is_none());
}

#[test]
fn retries_order_and_exhaustion_have_defaults() {
    let workflow = loaded(Folder::new().load(MANIFEST));
    let asked = effect(&workflow, "ask-price");
    let seconds = Duration::from_secs;
    assert_eq!(asked.retry, Retry { attempts: 3, first: seconds(1), most: seconds(10), timeout: seconds(60), deadline: seconds(60) });
    assert_eq!(asked.after, [0]);
    assert_eq!(asked.on_exhausted, OnExhausted::Outcome);
    let told = effect(&workflow, "tell");
    assert_eq!(told.retry, DEFAULT_RETRY);
    assert!(DEFAULT_RETRY.timeout < DEFAULT_RETRY.deadline);
    assert_eq!(workflow.effect_limits("news"), EffectLimits { parallel: DEFAULT_PARALLEL, breaker: DEFAULT_BREAKER });
    let set = MANIFEST.replace("jsonl =", "parallel = 2\nbreaker = { failures = 3 }\njsonl =");
    let limits = loaded(Folder::new().load(&set)).effect_limits("news");
    assert_eq!(limits, EffectLimits { parallel: 2, breaker: BreakerSettings { failures: 3, ..DEFAULT_BREAKER } });
    assert_eq!(told.on_exhausted, OnExhausted::Hold, "nobody could be told of it");
}

#[test]
fn events_are_decoded_keyed_and_correlated() {
    let workflow = loaded(Folder::new().load(MANIFEST));
    let packed = &workflow.inputs["parcel.packed"];
    assert_eq!((packed.case, packed.key_field, packed.correlation_field), (0, 0, Some(2)));
    let scanned = &workflow.inputs["parcel.scanned"];
    assert_eq!((scanned.case, scanned.key_field, scanned.correlation_field), (1, 0, None));
    let value = scanned.codec.decode("data", br#"{"parcel":"p1","extra":1}"#, UnknownFields::Ignore).unwrap();
    assert_eq!(value, Value::Record([Value::String("p1".into()), Value::Option(None)].into()));
}

#[test]
fn what_a_manifest_does_not_say_has_defaults() {
    let folder = Folder::new();
    let workflow = loaded(folder.load(MANIFEST));
    let source = &workflow.manifest.source;
    assert_eq!((source.max_skew, source.dedupe), (DEFAULT_MAX_SKEW, DEFAULT_DEDUPE));
    assert_eq!((source.timer_wait, source.outage_wait), (DEFAULT_TIMER_WAIT, DEFAULT_OUTAGE_WAIT));
    assert_eq!(source.file, None);
    assert_eq!(workflow.manifest.limits, LimitSettings::default());
    assert_eq!(workflow.manifest.store.location, folder.path("parcels.db").into());
    assert_eq!(workflow.manifest.store.id, None);
}

#[test]
fn what_a_manifest_says_is_taken() {
    let id = "0f3b9c2e-7a41-4d0e-9a55-1c2d3e4f5a6b";
    let manifest = MANIFEST.replace("sqlite = \"parcels.db\"", &format!("sqlite = \"parcels.db\"\nid = \"{id}\""))
        + "[source]\nfile = \"events.jsonl\"\nmax-skew = \"1h\"\ndedupe = 10\ntimer-wait = \"5s\"\noutage-wait = \"2d\"\n\
           [limits]\nfuel = 1000000\nmemory = 1048576\noutput = 2048\nintents = 3\ninbox = 7\nevent = 4096\nparallel = 2\n";
    let folder = Folder::new();
    let manifest = loaded(folder.load(&manifest)).manifest;
    assert_eq!(manifest.store.id, purefold_wit::uuid::parse(id));
    let source = &manifest.source;
    assert_eq!(source.file, Some(folder.path("events.jsonl")));
    assert_eq!((source.max_skew, source.dedupe, source.timer_wait), (Duration::from_secs(3600), 10, Duration::from_secs(5)));
    assert_eq!(source.outage_wait, Duration::from_secs(2 * 24 * 3600));
    let limits = &manifest.limits;
    assert_eq!((limits.inbox, limits.event_bytes, limits.parallel), (7, 4096, 2));
    let limits = manifest.limits();
    assert_eq!((limits.fuel, limits.memory_bytes, limits.output_bytes, limits.intents), (1_000_000, 1 << 20, 2048, 3));
}

#[test]
fn digests_are_of_the_bytes_and_of_the_unexpanded_text() {
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let folder = Folder::new();
    let manifest = MANIFEST.replace("\"news.jsonl\"", "\"${NEWS}\"");
    let workflow = loaded(folder.load_with(&manifest, &|name| (name == "NEWS").then(|| "elsewhere.jsonl".to_owned())));
    assert_eq!(&*workflow.manifest_digest, hex(manifest.as_bytes()));
    assert_eq!(&*workflow.component_digest, hex(&workflow.component));
    let news = workflow.manifest.effects.iter().find(|effect| effect.name == "news").unwrap();
    assert_eq!(news.settings["jsonl"].as_str(), Some("elsewhere.jsonl"));
}

#[test]
fn loading_creates_nothing() {
    let folder = Folder::new();
    loaded(folder.load(MANIFEST));
    let mut names: Vec<_> = std::fs::read_dir(folder.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["parcels.wasm", "workflow.toml"]);
}

#[test]
fn the_component_is_found_beside_the_manifest_in_a_named_folder_and_among_the_built() {
    for place in [".", "named", "target/reducers"] {
        let folder = Folder::new();
        std::fs::remove_file(folder.path("parcels.wasm")).unwrap();
        std::fs::create_dir_all(folder.path(place)).unwrap();
        std::fs::write(folder.path(place).join("parcels.wasm"), reducer::component(reducer::PARCELS)).unwrap();
        let named = folder.path("named").display().to_string();
        let environment = |name: &str| (name == super::super::REDUCERS_VARIABLE).then(|| named.clone());
        assert_eq!(&*loaded(folder.load_with(MANIFEST, &environment)).name, "parcels", "{place}");
    }
}

#[test]
fn the_guide_shows_a_manifest_that_loads_and_the_true_defaults() {
    let guide = include_str!("../../../../docs/guide/manifest.md");
    assert!(guide.contains(MANIFEST), "the guide's whole manifest is the one of these tests");
    let LimitSettings { fuel, memory_bytes, output_bytes, intents, inbox, event_bytes, parallel, outstanding } = LimitSettings::default();
    for (name, value) in [
        ("fuel", fuel),
        ("memory", memory_bytes as u64),
        ("output", output_bytes as u64),
        ("intents", intents as u64),
        ("inbox", inbox as u64),
        ("event", event_bytes as u64),
        ("parallel", parallel as u64),
        ("outstanding", outstanding as u64),
        ("dedupe", DEFAULT_DEDUPE),
    ] {
        assert!(guide.contains(&format!("| `{name}` | {value} |")), "{name} = {value}");
    }
}
