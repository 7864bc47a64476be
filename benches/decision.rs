//! One decision of the reference reducer, taken apart.
//!
//! For a heartbeat and an introspection: the function compiled for this machine; a sandbox that is used again and again
//! (not clean), by typed bindings and by the dynamic interface; a clean sandbox for each decision, as the host runs it;
//! and apart from it the reading of the input and the writing of the result.
//!
//! The component is taken from `target/reducers`, where `cargo xtask build` puts it.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use criterion::{Criterion, criterion_group, criterion_main};
use purefold::sandbox::{Context, Decision, DecisionCodec, Limits, Reducer, Sandbox};
use purefold_wit::{Contract, UnknownFields, Value};
use registration::domain;
use wasmtime::component::{Component, Func, Linker, Val};
use wasmtime::{Config, Engine, Store};

// The host's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod typed {
    wasmtime::component::bindgen!({ path: "../reducers/registration/wit", world: "registration" });
}

/// Calls that one instance serves before it is replaced, outside the measurement: the guest's allocator never frees.
const CALLS: u64 = 256;

const NODE: (u64, u64) = (0x1111_1111_1111_4111, 0x8111_1111_1111_1111);
const NOW: u64 = 1_770_984_000_000_000;

const STATE: &str = r#"{"node_id":"11111111-1111-4111-8111-111111111111","node_type":"effect","phase":"active",
"node_version":{"major":1,"minor":2,"patch":3,"prerelease":null,"build":null},"capabilities":{"postgres":true,"read":true},
"attempt_id":"22222222-2222-4222-8222-222222222222","dual":"complete","record":"done","service":"done",
"registered_at":"2026-02-13T11:00:00Z","updated_at":"2026-02-13T11:00:00Z","ack_deadline":"2026-02-13T11:00:30Z",
"liveness_deadline":"2026-02-13T12:01:00Z","last_heartbeat_at":null}"#;
const HEARTBEAT: &str = r#"{"heartbeat":{"node_id":"11111111-1111-4111-8111-111111111111","node_type":"effect","uptime_seconds":12.5,
"active_operations_count":3,"memory_usage_mb":120.5,"cpu_usage_percent":2.5,
"correlation_id":"33333333-3333-4333-8333-333333333333","timestamp":"2026-02-13T12:00:00Z"}}"#;
const INTROSPECTION: &str = r#"{"introspected":{"node_id":"11111111-1111-4111-8111-111111111111","node_type":"effect",
"node_version":{"major":1,"minor":2,"patch":3},"declared_capabilities":{"postgres":true,"read":true},
"endpoints":{"health":"http://10.0.0.7:8080/health"},"correlation_id":"33333333-3333-4333-8333-333333333333",
"timestamp":"2026-02-13T12:00:00Z"}}"#;

struct Case {
    name: &'static str,
    json: &'static str,
    state: Option<Value>,
    input: Value,
    native: (Option<domain::State>, domain::Input),
}

struct Bench {
    reducer: Reducer,
    codec: DecisionCodec,
    engine: Engine,
    component: Component,
    context: Context,
    cases: [Case; 2],
}

fn component() -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/reducers/registration.wasm");
    std::fs::read(&path).with_context(|| format!("{} is missing: run `cargo xtask build` first", path.display()))
}

fn bench() -> Result<Bench> {
    let bytes = component()?;
    let contract = Arc::new(Contract::read(&bytes).map_err(|findings| anyhow::anyhow!("{findings:?}"))?);
    let limits = Limits::default();
    let reducer = Sandbox::new()?.load(&bytes, contract.clone(), limits)?;
    let codec = DecisionCodec::new(&contract, &limits);
    let read = |json: &str| codec.input().decode("input", json.as_bytes(), UnknownFields::Ignore);
    let context = Context {
        now: NOW,
        entity: "11111111-1111-4111-8111-111111111111".into(),
        sequence: 7,
        event_id: "44444444-4444-4444-8444-444444444444".into(),
        correlation_id: "33333333-3333-4333-8333-333333333333".into(),
        seed: (1, 2),
    };
    let state = codec.decode_state(STATE.as_bytes())?;
    let cases = [
        Case {
            name: "heartbeat",
            json: HEARTBEAT,
            state: Some(state),
            input: read(HEARTBEAT)?,
            native: (Some(native_state()), native_heartbeat()),
        },
        Case {
            name: "introspection",
            json: INTROSPECTION,
            state: None,
            input: read(INTROSPECTION)?,
            native: (None, native_introspection()),
        },
    ];
    // The host's profile without its pool: these instances live long.
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(true).consume_fuel(true).wasm_relaxed_simd(false).concurrency_support(false);
    let engine = Engine::new(&config).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let component = Component::from_binary(&engine, &bytes).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    Ok(Bench { reducer, codec, engine, component, context, cases })
}

fn capabilities() -> domain::Capabilities {
    domain::Capabilities {
        postgres: Some(true),
        read: Some(true),
        write: None,
        database: None,
        transactions: None,
        processing: None,
        routing: None,
        feature: None,
        batch_size: None,
        max_batch: None,
        supported_types: None,
        mcp: None,
    }
}

fn native_state() -> domain::State {
    domain::State {
        node_id: NODE,
        node_type: domain::NodeType::Effect,
        phase: domain::Phase::Active,
        node_version: domain::Version { major: 1, minor: 2, patch: 3, prerelease: None, build: None },
        capabilities: capabilities(),
        attempt_id: NODE,
        dual: domain::DualStatus::Complete,
        record: domain::Standing::Done,
        service: domain::Standing::Done,
        registered_at: NOW - 3_600_000_000,
        updated_at: NOW - 3_600_000_000,
        ack_deadline: Some(NOW - 3_570_000_000),
        liveness_deadline: Some(NOW + 60_000_000),
        last_heartbeat_at: None,
    }
}

fn native_heartbeat() -> domain::Input {
    domain::Input::Heartbeat(domain::Heartbeat {
        node_id: NODE,
        node_type: domain::NodeType::Effect,
        uptime_seconds: 12.5,
        active_operations_count: Some(3),
        memory_usage_mb: Some(120.5),
        cpu_usage_percent: Some(2.5),
        correlation_id: Some(NODE),
        timestamp: NOW,
    })
}

fn native_introspection() -> domain::Input {
    domain::Input::Introspected(domain::Introspected {
        node_id: NODE,
        node_type: domain::NodeType::Effect,
        node_version: Some(domain::Version { major: 1, minor: 2, patch: 3, prerelease: None, build: None }),
        declared_capabilities: Some(capabilities()),
        endpoints: Some(vec![("health".into(), "http://10.0.0.7:8080/health".into())]),
        metadata: None,
        correlation_id: NODE,
        timestamp: NOW,
    })
}

fn native_context(context: &Context) -> purefold_guest::Context {
    purefold_guest::Context {
        now: context.now,
        entity: context.entity.to_string(),
        sequence: context.sequence,
        event_id: context.event_id.to_string(),
        correlation_id: context.correlation_id.to_string(),
        seed: context.seed,
    }
}

/// Times `calls` calls, with a new instance, made outside the measurement, after every [`CALLS`].
fn reused<I>(calls: u64, mut instance: impl FnMut() -> I, mut call: impl FnMut(&mut I)) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = calls;
    while left > 0 {
        let mut fresh = instance();
        let started = Instant::now();
        for _ in 0..left.min(CALLS) {
            call(&mut fresh);
        }
        took += started.elapsed();
        left -= left.min(CALLS);
    }
    took
}

fn instance(bench: &Bench) -> Result<(Store<()>, Func, typed::Registration)> {
    let mut store = Store::new(&bench.engine, ());
    store.set_fuel(u64::MAX).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let linker = Linker::new(&bench.engine);
    let raw = linker.instantiate(&mut store, &bench.component).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let reduce = raw.get_func(&mut store, "reduce").context("no reduce")?;
    let typed = typed::Registration::new(&mut store, &raw).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    Ok((store, reduce, typed))
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot run says so by ending")]
fn decisions(criterion: &mut Criterion) {
    let bench = bench().expect("the benchmark's set-up");
    for case in &bench.cases {
        let mut group = criterion.benchmark_group(case.name);
        let context = native_context(&bench.context);
        group.bench_function("native function", |b| {
            b.iter_batched(
                || case.native.clone(),
                |(state, input)| registration::decide(&context, state, input),
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function("reused instance, typed", |b| {
            b.iter_custom(|calls| {
                reused(
                    calls,
                    || (instance(&bench).expect("an instance"), typed_arguments(&bench.context, case)),
                    |((store, _, typed), (context, state, input))| {
                        std::hint::black_box(typed.call_reduce(store, context, state.as_ref(), input).expect("a decision").is_ok());
                    },
                )
            });
        });
        let mut arguments = bench.reducer.arguments();
        bench.reducer.fill(&mut arguments, &bench.context, case.state.as_ref(), &case.input).expect("arguments");
        group.bench_function("reused instance, dynamic", |b| {
            b.iter_custom(|calls| {
                reused(
                    calls,
                    || instance(&bench).expect("an instance"),
                    |(store, reduce, _)| {
                        let mut results = [Val::Bool(false)];
                        reduce.call(store, &arguments, &mut results).expect("a decision");
                        std::hint::black_box(&results);
                    },
                )
            });
        });
        group.bench_function("clean sandbox, dynamic", |b| {
            b.iter(|| bench.reducer.reduce(&bench.context, case.state.as_ref(), &case.input).expect("a decision"));
        });
        group.bench_function("decode", |b| {
            b.iter(|| bench.codec.input().decode("input", case.json.as_bytes(), UnknownFields::Ignore).expect("an input"));
        });
        let decision = bench.reducer.reduce(&bench.context, case.state.as_ref(), &case.input).expect("a decision");
        assert!(matches!(decision, Decision::Accepted { .. }), "the benchmark measures accepted decisions");
        group.bench_function("encode", |b| {
            b.iter_batched(|| decision.clone(), |decision| bench.codec.encode(decision), criterion::BatchSize::SmallInput);
        });
        group.finish();
    }
}

type TypedArguments =
    (typed::purefold::reducer::types::Context, Option<typed::onex::registration::domain::State>, typed::onex::registration::domain::Input);

fn typed_arguments(context: &Context, case: &Case) -> TypedArguments {
    use typed::onex::registration::domain as t;
    let capabilities = t::Capabilities {
        postgres: Some(true),
        read: Some(true),
        write: None,
        database: None,
        transactions: None,
        processing: None,
        routing: None,
        feature: None,
        batch_size: None,
        max_batch: None,
        supported_types: None,
        mcp: None,
    };
    let version = t::Version { major: 1, minor: 2, patch: 3, prerelease: None, build: None };
    let state = case.state.is_some().then(|| t::State {
        node_id: NODE,
        node_type: t::NodeType::Effect,
        phase: t::Phase::Active,
        node_version: version.clone(),
        capabilities: capabilities.clone(),
        attempt_id: NODE,
        dual: t::DualStatus::Complete,
        record: t::Standing::Done,
        service: t::Standing::Done,
        registered_at: NOW - 3_600_000_000,
        updated_at: NOW - 3_600_000_000,
        ack_deadline: Some(NOW - 3_570_000_000),
        liveness_deadline: Some(NOW + 60_000_000),
        last_heartbeat_at: None,
    });
    let input = if case.state.is_some() {
        t::Input::Heartbeat(t::Heartbeat {
            node_id: NODE,
            node_type: t::NodeType::Effect,
            uptime_seconds: 12.5,
            active_operations_count: Some(3),
            memory_usage_mb: Some(120.5),
            cpu_usage_percent: Some(2.5),
            correlation_id: Some(NODE),
            timestamp: NOW,
        })
    } else {
        t::Input::Introspected(t::Introspected {
            node_id: NODE,
            node_type: t::NodeType::Effect,
            node_version: Some(version),
            declared_capabilities: Some(capabilities),
            endpoints: Some(vec![("health".into(), "http://10.0.0.7:8080/health".into())]),
            metadata: None,
            correlation_id: NODE,
            timestamp: NOW,
        })
    };
    let context = typed::purefold::reducer::types::Context {
        now: context.now,
        entity: context.entity.to_string(),
        sequence: context.sequence,
        event_id: context.event_id.to_string(),
        correlation_id: context.correlation_id.to_string(),
        seed: context.seed,
    };
    (context, state, input)
}

criterion_group!(benches, decisions);
criterion_main!(benches);
