//! One decision, taken apart: reading the input, deciding in a clean sandbox, writing the result.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use purefold::journal::{Kind, Verdict, seed};
use purefold::sandbox::{Context, DecisionCodec, Sandbox};
use purefold::store::Reader;
use purefold::workflow::Workflow;
use purefold_wit::{UnknownFields, Value};

/// Decisions that are measured of each input case.
const SAMPLES: usize = 500;

/// Times that all samples are measured; the median counts.
const ROUNDS: usize = 7;

/// Entries that are looked through for samples.
const LOOKED_THROUGH: u32 = 20_000;

/// What the decisions of one input case cost, in nanoseconds each.
#[derive(serde::Serialize)]
pub(super) struct Case {
    pub(super) input: String,
    pub(super) samples: usize,
    pub(super) decode_ns: u64,
    pub(super) decide_ns: u64,
    pub(super) encode_ns: u64,
}

struct Sample {
    context: Context,
    state: Option<Value>,
    json: Box<[u8]>,
    input: Value,
}

/// Measures decisions that `store` holds, those after row `from` among them.
pub(super) fn measure(workflow: &Workflow, store: &Path, from: i64, sandbox: &Sandbox) -> anyhow::Result<Vec<Case>> {
    let limits = workflow.manifest.limits();
    let codec = DecisionCodec::new(&workflow.contract, &limits);
    let reducer = sandbox.load(&workflow.component, workflow.contract.clone(), limits)?;
    let mut cases = Vec::new();
    for (case, samples) in samples(workflow, store, from, &codec)? {
        let (mut decode, mut decide, mut encode) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for sample in &samples {
                black_box(codec.input().decode("input", &sample.json, UnknownFields::Refuse)?);
            }
            decode.push(started.elapsed());
            let started = Instant::now();
            let mut decisions = Vec::with_capacity(samples.len());
            for sample in &samples {
                decisions.push(reducer.reduce(&sample.context, sample.state.as_ref(), &sample.input)?);
            }
            decide.push(started.elapsed());
            let started = Instant::now();
            for decision in decisions {
                black_box(codec.encode(decision));
            }
            encode.push(started.elapsed());
        }
        let median = |mut rounds: Vec<std::time::Duration>| {
            rounds.sort_unstable();
            u64::try_from(rounds[ROUNDS / 2].as_nanos()).unwrap_or(u64::MAX) / samples.len() as u64
        };
        let input = workflow.contract.input.cases[case as usize].name.kebab().to_owned();
        cases.push(Case { input, samples: samples.len(), decode_ns: median(decode), decide_ns: median(decide), encode_ns: median(encode) });
    }
    Ok(cases)
}

/// Recorded decisions, by input case: some from the beginning of the journal, some from row `from` on.
fn samples(workflow: &Workflow, store: &Path, from: i64, codec: &DecisionCodec) -> anyhow::Result<BTreeMap<u32, Vec<Sample>>> {
    let reader = Reader::open(&store.into())?;
    let journal = reader.journal()?;
    let id = reader.workflow(&workflow.name)?.map_or(0, |(id, _)| id);
    let mut samples: BTreeMap<u32, Vec<Sample>> = BTreeMap::new();
    let mut entries = reader.entries_from(id, 1, LOOKED_THROUGH)?;
    entries.extend(reader.entries_from(id, from + 1, LOOKED_THROUGH)?);
    for (entity, stored) in entries {
        let entry = stored.entry;
        if entry.kind != Kind::Decided {
            continue;
        }
        let input = codec.input().decode("input", &entry.input, UnknownFields::Refuse)?;
        let Value::Variant(case, _) = &input else { continue };
        let of_case = samples.entry(*case).or_default();
        if of_case.len() < SAMPLES {
            let context = Context {
                now: entry.now,
                entity: entity.clone(),
                sequence: entry.sequence,
                event_id: entry.event_id,
                correlation_id: entry.correlation_id,
                seed: seed(journal, &workflow.name, &entity, entry.sequence),
            };
            let state = state_before(&reader, stored.previous_row)?.map(|json| codec.decode_state(&json)).transpose()?;
            of_case.push(Sample { context, state, json: entry.input, input });
        }
    }
    Ok(samples)
}

/// The state that the entry in `row`, or the last one before it that left a state, holds.
fn state_before(reader: &Reader, mut row: i64) -> anyhow::Result<Option<Box<[u8]>>> {
    while row > 0 {
        let stored = reader.entry(row)?;
        if stored.entry.verdict == Some(Verdict::Accepted) || stored.entry.state.is_some() {
            return Ok(stored.entry.state);
        }
        row = stored.previous_row;
    }
    Ok(None)
}
