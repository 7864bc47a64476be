//! Manifests with mistakes in them: each is told with its code, its place and a way out, and all of them at once.

use purefold_wit::Finding;

use super::reducer;
use super::{Folder, MANIFEST, refused};

/// One mistake: what is replaced in the manifest, by what, and the findings that must come of it: code, place, a part of the help.
struct Mistake(&'static str, &'static str, &'static [(&'static str, &'static str, &'static str)]);

const MISTAKES: &[Mistake] = &[
    // The top and the sections.
    Mistake("name = \"parcels\"", "", &[("setting-missing", "name", "add `name")]),
    Mistake("name = \"parcels\"", "name = \"our parcels\"", &[("setting-range", "name", "letters")]),
    Mistake("[store]\nsqlite = \"parcels.db\"", "", &[("setting-missing", "store", "[store]")]),
    Mistake("[store]", "[store]\nid = \"1\"", &[("setting-type", "store.id", "8-4-4-4-12")]),
    Mistake("sqlite = \"parcels.db\"", "postgres = \"x\"", &[("setting-range", "store.postgres", "postgres://")]),
    Mistake("[store]", "[store]\npostgres = \"postgres://h/d\"", &[("backend-twice", "store.postgres", "keep one")]),
    Mistake(
        "sqlite = \"parcels.db\"",
        "postgres = \"postgres://h/d\"\nschema = \"pg_x\"",
        &[("setting-range", "store.schema", "63 bytes")],
    ),
    Mistake(
        "[store]",
        "[source]\nkafka = { brokers = 'a', topics = ['x', 'x', '/'], instance = '' }\n[store]",
        &[
            ("setting-range", "source.kafka.brokers", "name host and port"),
            ("setting-missing", "source.kafka.group", "group"),
            ("setting-range", "source.kafka.instance", "character"),
            ("setting-range", "source.kafka.topics[1]", "remove"),
            ("setting-range", "source.kafka.topics[2]", "letters"),
        ],
    ),
    Mistake(
        "[store]",
        "[source]\nfile = 'f'\nkafka = { brokers = 'a:1', group = 'g', topics = ['t'], form = 'end', protocol = 'eager' }\n[store]",
        &[
            ("source-twice", "source.kafka", "remove"),
            ("setting-range", "source.kafka.protocol", "consumer"),
            ("setting-unknown", "source.kafka.form", "`from`"),
        ],
    ),
    Mistake("[store]", "[source]\nhttp = {}\n[store]", &[("setting-missing", "source.http.listen", "listen")]),
    Mistake("[store]", "[source]\nhttp = { listen = \"localhost\" }\n[store]", &[("setting-type", "source.http.listen", "127.0.0.1:8080")]),
    Mistake("[store]", "[source]\nhttp = { listen = \"0.0.0.0:80\" }\n[store]", &[("token-missing", "source.http.token", "127.0.0.1")]),
    Mistake(
        "[store]",
        "[source]\nhttp = { listen = \"0.0.0.0:80\", token = \"guess me\" }\n[store]",
        &[("setting-range", "source.http.token", "openssl")],
    ),
    Mistake(
        "[store]",
        "[source]\nhttp = { listen = \"127.0.0.1:80\", in-flight = 0 }\nfile = \"events.jsonl\"\n[store]",
        &[("source-twice", "source.http", "remove one"), ("setting-range", "source.http.in-flight", "from 1")],
    ),
    Mistake("[store]", "[source]\nfollow = true\n[store]", &[("setting-missing", "source.file", "remove `follow`")]),
    Mistake("[store]", "[source]\nmax-skw = \"1d\"\n[store]", &[("setting-unknown", "source.max-skw", "`max-skew`")]),
    Mistake(
        "[store]",
        "[limits]\nfuel = 1\nmemory = \"1\"\n[store]",
        &[("setting-range", "limits.fuel", "from 10000"), ("setting-type", "limits.memory", "number")],
    ),
    Mistake("[store]", "[limts]\n[store]", &[("setting-unknown", "limts", "`limits`")]),
    Mistake(
        "key = \"parcel\"\n",
        "kee = \"parcel\"\n",
        &[("setting-missing", "reducer.key", "add `key"), ("setting-unknown", "reducer.kee", "`key`")],
    ),
    // The environment.
    Mistake("\"news.jsonl\"", "\"${NEWS}\"", &[("variable-missing", "effects.news.jsonl", "set `NEWS`")]),
    Mistake("\"news.jsonl\"", "\"${NEWS\"", &[("variable-syntax", "effects.news.jsonl", "$${")]),
    Mistake("[\"prices.example\"]", "[\"prices example:${PORT}\"]", &[("variable-missing", "effects.prices.hosts[0]", "set `PORT`")]),
    // The component.
    Mistake("parcels.wasm", "parcel.wasm", &[("component-missing", "reducer.component", "build the reducer")]),
    Mistake("parcels.wasm", "workflow.toml", &[("not-a-component", "component", "build")]),
    // Inputs.
    Mistake(
        "\"parcel.scanned\" = \"scanned\"",
        "\"parcel.scanned\" = \"scaned\"",
        &[("input-unknown", "inputs.\"parcel.scanned\"", "`scanned`")],
    ),
    Mistake("\"parcel.scanned\" = \"scanned\"", "\"parcel.scanned\" = 1", &[("setting-type", "inputs.\"parcel.scanned\"", "write")]),
    Mistake("\"parcel.scanned\" = \"scanned\"", "\"parcel.scanned\" = \"weighed\"", &[("key-type", "inputs.\"parcel.scanned\"", "uuid")]),
    Mistake(
        "\"parcel.scanned\" = \"scanned\"",
        "\"parcel.scanned\" = \"noted\"",
        &[("key-field-missing", "inputs.\"parcel.scanned\"", "add the field")],
    ),
    Mistake(
        "[machine]",
        "\"purefold.workflow.started\" = \"packed\"\n[machine]",
        &[("started-shape", "inputs.\"purefold.workflow.started\"", "start-id: uuid")],
    ),
    // The machine.
    Mistake("field = \"phase\"", "field = \"fase\"", &[("machine-field-unknown", "machine.field", "`phase`")]),
    Mistake("field = \"phase\"", "field = \"weight\"", &[("machine-field-type", "machine.field", "enum")]),
    Mistake("start = [\"packed\"]", "start = [\"paked\"]", &[("machine-phase-unknown", "machine.start", "`packed`")]),
    Mistake("start = [\"packed\"]", "start = []", &[("machine-start-missing", "machine.start", "begin")]),
    Mistake(
        "\nsent = [\"arrived\"]",
        "\nsnt = [\"arived\"]",
        &[("machine-phase-unknown", "machine.snt", "`arrived`"), ("machine-phase-unknown", "machine.snt", "`sent`")],
    ),
    // Routes.
    Mistake(
        "[intents.tell]",
        "[intents.tel]",
        &[("intent-unknown", "intents.tel", "`tell`"), ("intent-unrouted", "intents.tell", "[intents.tell]")],
    ),
    Mistake("effect = \"news\"\n", "", &[("setting-missing", "intents.tell.effect", "add `effect")]),
    Mistake("effect = \"news\"", "effect = \"new\"", &[("effect-unknown", "intents.tell.effect", "`news`")]),
    Mistake(
        "[effects.news]",
        "[effects.timer]",
        &[("effect-reserved", "effects.timer", "another name"), ("effect-unknown", "intents.tell.effect", "[effects.news]")],
    ),
    Mistake("outcome = \"noted\"", "outcom = \"noted\"", &[("setting-unknown", "intents.write-note.outcom", "`outcome`")]),
    Mistake("outcome = \"noted\"", "outcome = \"notd\"", &[("outcome-unknown", "intents.write-note.outcome", "`noted`")]),
    Mistake("outcome = \"noted\"", "outcome = \"unresolved\"", &[("outcome-shape", "intents.write-note.outcome", "%result")]),
    Mistake(
        "outcome = \"noted\"",
        "outcome = \"noted-oddly\"",
        &[
            ("outcome-shape", "intents.write-note.outcome", "same name and type"),
            ("outcome-shape", "intents.write-note.outcome", "same name and type"),
            ("outcome-shape", "intents.write-note.outcome", "result<T, failure>"),
        ],
    ),
    Mistake(
        "topic = \"parcel.told\"",
        "topic = \"parcel.told\"\non-exhausted = \"outcome\"",
        &[("on-exhausted-unrouted", "intents.tell.on-exhausted", "hold")],
    ),
    Mistake(
        "topic = \"parcel.told\"",
        "topic = \"parcel.told\"\non-exhausted = \"wait\"",
        &[("setting-range", "intents.tell.on-exhausted", "hold")],
    ),
    Mistake(
        "attempts = 3, first = \"1s\"",
        "attempts = 0, first = \"1\"",
        &[("setting-range", "intents.ask-price.retry.attempts", "from 1"), ("setting-type", "intents.ask-price.retry.first", "unit")],
    ),
    Mistake("most = \"10s\"", "most = \"10ms\"", &[("setting-range", "intents.ask-price.retry.most", "first")]),
    Mistake(
        "deadline = \"1m\"",
        "deadline = \"1m\", timeout = \"61s\"",
        &[("setting-range", "intents.ask-price.retry.timeout", "`deadline`")],
    ),
    Mistake("jsonl = ", "breaker = { failures = 0 }\njsonl = ", &[("setting-range", "effects.news.breaker.failures", "from 1")]),
    Mistake("jsonl = ", "breaker = { cooldwn = \"1s\" }\njsonl = ", &[("setting-unknown", "effects.news.breaker.cooldwn", "`cooldown`")]),
    Mistake("jsonl = ", "braker = { failures = 5 }\njsonl = ", &[("setting-unknown", "effects.news.braker", "`breaker`")]),
    Mistake("jsonl = ", "parallel = 0\njsonl = ", &[("setting-range", "effects.news.parallel", "from 1")]),
    Mistake("after = [\"write-note\"]", "after = [\"write-notes\"]", &[("after-unknown", "intents.ask-price.after", "`write-note`")]),
    Mistake("after = [\"write-note\"]", "after = [\"remind\"]", &[("after-done-already", "intents.ask-price.after", "leave it out")]),
    Mistake("after = [\"write-note\"]", "after = [\"ask-price\"]", &[("after-circle", "intents.ask-price.after", "take one")]),
    Mistake(
        "outcome = \"noted\"",
        "outcome = \"noted\"\nafter = [\"ask-price\"]",
        &[("after-circle", "intents.write-note.after", "take one")],
    ),
    // Timers.
    Mistake("input = \"due\"\n", "", &[("timer-shape", "intents.remind.effect", "`input`")]),
    Mistake("input = \"due\"\n", "input = \"dew\"\n", &[("input-unknown", "intents.remind.input", "`due`")]),
    Mistake("input = \"due\"\n", "input = \"packed\"\n", &[("timer-shape", "intents.remind.input", "name one that does")]),
    Mistake("input = \"due\"\n", "input = \"due\"\nretry = {}\n", &[("setting-unknown", "intents.remind.retry", "remove")]),
    Mistake("effect = \"news\"\ntopic = \"parcel.told\"", "effect = \"timer\"", &[("timer-shape", "intents.tell.effect", "timer-cancel")]),
    // Deliveries.
    Mistake("key = \"next\"", "key = \"nxt\"", &[("deliver-key-missing", "intents.forward.key", "`next`")]),
    Mistake("key = \"next\"", "key = \"weights\"", &[("key-type", "intents.forward.key", "uuid")]),
    Mistake("key = \"next\"", "", &[("setting-missing", "intents.forward.key", "add `key")]),
    Mistake("input = \"scanned\"", "input = \"scannd\"", &[("deliver-input-unknown", "intents.forward.input", "`scanned`")]),
    Mistake("input = \"scanned\"", "input = \"packed\"", &[("deliver-shape", "intents.forward.input", "option")]),
    Mistake("key = \"next\"", "key = \"next\"\nkeys = 1", &[("setting-unknown", "intents.forward.keys", "")]),
    // What the effects themselves find.
    Mistake("capability = \"publish\"", "capability = \"publsh\"", &[("capability-unknown", "effects.news.capability", "`publish`")]),
    Mistake(
        "jsonl = ",
        "jsnl = ",
        &[("backend-unknown", "effects.news.capability", "jsonl"), ("setting-unknown", "effects.news.jsnl", "`jsonl`")],
    ),
    Mistake(
        "topic = \"parcel.told\"",
        "topik = \"parcel.told\"",
        &[("setting-missing", "intents.tell.topic", "add `topic"), ("setting-unknown", "intents.tell.topik", "`topic`")],
    ),
];

#[test]
fn each_mistake_alone_is_told_with_code_place_and_way_out() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    for Mistake(from, to, expected) in MISTAKES {
        assert_eq!(MANIFEST.matches(from).count(), 1, "`{from}` stands once in the manifest");
        let findings = match folder.load(&MANIFEST.replace(from, to)) {
            Ok(_) => Vec::new(),
            Err(findings) => findings,
        };
        let told = |(finding, (code, place, help)): (&Finding, &(&str, &str, &str))| {
            finding.code == *code && finding.place == *place && finding.help.contains(help) && !finding.cause.is_empty()
        };
        if findings.len() != expected.len() || !findings.iter().zip(*expected).all(told) {
            wrong.push(format!("{from} -> {to}\n  expected {expected:?}\n  found    {findings:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ten_mistakes_are_ten_findings_in_one_run() {
    let mut manifest = MANIFEST.to_owned();
    for (from, to) in [
        ("[store]", "[store]\npath = \"x\""),
        ("\"news.jsonl\"", "\"${NEWS}\""),
        ("\"parcel.scanned\" = \"scanned\"", "\"parcel.scanned\" = \"scaned\""),
        ("field = \"phase\"", "field = \"fase\""),
        ("[intents.forget]\neffect = \"timer\"", ""),
        ("effect = \"news\"", "effect = \"nws\""),
        ("outcome = \"noted\"", "outcome = \"priced\""),
        ("after = [\"write-note\"]", "after = [\"write\"]"),
        ("attempts = 3", "attempts = 0"),
        ("key = \"next\"", "key = \"place\"\nworkflw = \"depot\""),
    ] {
        assert_eq!(manifest.matches(from).count(), 1, "{from}");
        manifest = manifest.replace(from, to);
    }
    let findings = refused(Folder::new().load(&manifest));
    let told: Vec<String> =
        findings.iter().map(|Finding { code, place, cause, help }| format!("{code} at {place}\n  {cause}\n  {help}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    variable-missing at effects.news.jsonl
      the environment has no variable `NEWS` (or it is not UTF-8)
      set `NEWS` before you start purefold, or write the value into the manifest
    setting-unknown at store.path
      there is no setting `path`
      remove it; known here are sqlite, postgres, id
    setting-range at intents.ask-price.retry.attempts
      0 is out of range
      give a number from 1 to 1000
    input-unknown at inputs."parcel.scanned"
      the reducer has no case `scaned`
      did you mean `scanned`?
    machine-field-unknown at machine.field
      the state `state` has no field `fase`
      did you mean `phase`?
    after-unknown at intents.ask-price.after
      the reducer has no case `write`
      known are write-note, ask-price, tell, forward, remind, forget
    setting-unknown at intents.forward.workflw
      there is no setting `workflw`
      did you mean `workflow`?
    intent-unrouted at intents.forget
      the reducer may emit `forget` and no route says what performs it
      add `[intents.forget]` with `effect = …`
    effect-unknown at intents.tell.effect
      there is no effect `nws`
      did you mean `news`?
    reply-unfillable at intents.write-note.outcome
      the outcome asks for a reply of type record price, and this operation has none
      make the outcome's field `result: result<_, failure>`
    "#);
    assert_eq!(findings.len(), 10);
}

#[test]
fn text_that_is_no_toml_is_one_finding_with_its_line() {
    let findings = refused(Folder::new().load(&MANIFEST.replace("[store]", "[store")));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].code, "manifest-syntax");
    assert!(findings[0].place.starts_with("line 18, "), "{}", findings[0]);
}

#[test]
fn a_missing_manifest_is_a_finding() {
    let folder = Folder::new();
    let surroundings =
        super::Surroundings { environment: &|_| None, current: folder.path(""), open: &purefold_effects::open, topics: &|_, _| Vec::new() };
    let findings = refused(super::load_in(&folder.path("absent.toml"), &surroundings));
    assert_eq!(findings[0].code, "manifest-unreadable");
}

#[test]
fn no_secret_of_the_environment_is_told() {
    let secret = "hunter2-is-my-password";
    let environment = |name: &str| (name == "SECRET").then(|| secret.to_owned());
    // A secret wherever a text may stand, right or wrong.
    for (from, to) in [
        ("name = \"parcels\"", "name = \"a ${SECRET}\""),
        ("\"parcels.wasm\"", "\"${SECRET}\""),
        ("\"parcel.scanned\" = \"scanned\"", "\"parcel.scanned\" = \"${SECRET}\""),
        ("field = \"phase\"", "field = \"${SECRET}\""),
        ("capability = \"publish\"", "capability = \"${SECRET}\""),
        ("hosts = [\"prices.example\"]", "hosts = [\"${SECRET} x\"]"),
        ("hosts = [\"prices.example\"]", "hosts = [\"prices.example\"]\ntimeout = \"${SECRET}\""),
        ("\"https://prices.example/", "\"https://user:${SECRET}@prices.example/"),
        ("\"https://prices.example/", "\"${SECRET}://prices.example/"),
        ("table = \"notes\"", "table = \"${SECRET}\""),
        ("operation = \"upsert\"", "operation = \"${SECRET}\""),
        ("outcome = \"noted\"", "outcome = \"${SECRET}\""),
        ("effect = \"news\"", "effect = \"${SECRET}\""),
        ("key = \"next\"", "key = \"${SECRET}\""),
        ("[store]", "[store]\nid = \"${SECRET}\""),
    ] {
        let manifest = MANIFEST.replace(from, to);
        if let Err(findings) = Folder::new().load_with(&manifest, &environment) {
            let told = format!("{findings:?}");
            assert!(!told.contains(secret), "{from} -> {to}: {told}");
        }
    }
}

#[test]
fn a_component_behind_the_gate_is_told_together_with_the_manifest() {
    let folder = Folder::new();
    let wat =
        "(component (import \"wasi:clocks/wall-clock@0.2.0\" (instance (type (func (result u64))) (export \"now\" (func (type 0))))))";
    std::fs::write(folder.path("parcels.wasm"), wat::parse_str(wat).unwrap()).unwrap();
    let findings = refused(folder.load(&MANIFEST.replace("capability = \"publish\"", "capability = \"publsh\"")));
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["capability-unknown", "function-import", "reduce-missing"], "{findings:?}");
}

#[test]
fn the_limit_on_memory_is_the_manifests() {
    let folder = Folder::new();
    let big = "(component (core module (memory 32)))";
    std::fs::write(folder.path("parcels.wasm"), wat::parse_str(big).unwrap()).unwrap();
    for (memory, expected) in [(1 << 20, true), (2 << 20, false)] {
        let findings = refused(folder.load(&format!("{MANIFEST}\n[limits]\nmemory = {memory}")));
        assert_eq!(findings.iter().any(|finding| finding.code == "memory-too-large"), expected, "{findings:?}");
    }
}

#[test]
fn an_unused_reducer_type_is_no_mistake() {
    // `overdue`, `weighed` and others are fed by nothing: a reducer may know more than one manifest feeds it.
    assert!(reducer::PARCELS.contains("overdue") && Folder::new().load(MANIFEST).is_ok());
}
