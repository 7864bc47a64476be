//! `verify`: every entity's chain checked and every decision executed again, under the component that decided it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, bounded};
use purefold_wit::{Contract, Type, UnknownFields, Value};

use super::derived::Derived;
use super::diff::{Difference, differences};
use super::releases::Releases;
use super::whole::{self, Whole};
use crate::engine::{Plan, check};
use crate::journal::{EntryHash, Kind, Verdict, hex, seed, sha256};
use crate::sandbox::{Context, Decision, DecisionCodec, ENGINE_BUILD, Limits, Reducer, Sandbox, SandboxError};
use crate::store::{EntityRow, Location, Reader, Row, StoreError, StoredEntry};

/// Entities that are read together.
const PAGE: u32 = 256;

/// Entries that are read together, with all they hold.
const ENTRIES_TOGETHER: usize = 64;

/// Entries of a chain whose places are read together.
const CHAINED_TOGETHER: u32 = 1024;

/// Mismatches that are told; all are counted.
const MOST_TOLD: usize = 1000;

/// Faults that the host finds in what a reducer returned.
const HOST_FAULTS: [&str; 3] = ["machine", "deliver-key", "too-many-timers"];

/// Faults by a limit, whose exact point may differ between engine builds.
const LIMIT_FAULTS: [&str; 4] = ["fuel", "memory", "stack", "trap"];

/// One entry that is not what replay gives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// The entity's key; empty for the workflow itself.
    pub entity: String,
    /// The entry's sequence number.
    pub sequence: u64,
    /// The entry's ordinal.
    pub ordinal: u32,
    /// `hash`, `event`, `decision`, `tables`, `chain`, `erased`, `component`, `manifest`, `release`, `orphan` or `tally`.
    pub what: &'static str,
    /// Where it differs.
    pub differences: Vec<Difference>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries checked.
    pub entries: u64,
    /// Decisions executed again.
    pub decisions: u64,
    /// Faults by a limit, recorded by another engine build, that this build does not repeat: told apart, no mismatch.
    pub other_build: u64,
    /// Entries whose payloads are erased: their place in the chain is checked, what they held cannot be.
    pub erased: u64,
    /// Decisions that were not executed again, because they or the state before them are gone.
    pub not_executed: u64,
    /// Entities whose first entries are truncated.
    pub truncated: u64,
    /// Entries that are not what replay gives.
    pub mismatches: u64,
    /// The first of them, by entity.
    pub told: Vec<Mismatch>,
}

/// What keeps `verify` from checking.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A thread cannot be started or ended badly.
    #[error("a verifying thread failed")]
    Thread,
    /// A host commits all the time.
    #[error("the store changes too fast to be looked at as of one moment; try again, or verify a copy of it")]
    Restless,
}

/// A release's component, ready to decide again.
pub(super) struct Replayer {
    pub(super) contract: Arc<Contract>,
    pub(super) component: Arc<[u8]>,
    /// By the semantic profile of the entries.
    pub(super) reducers: Mutex<HashMap<Arc<str>, (Reducer, DecisionCodec)>>,
}

struct Verifier<'a> {
    plan: &'a Plan,
    sandbox: &'a Sandbox,
    releases: Releases,
    whole: Whole,
    /// Generations decided under the manifest that is loaded: its machine and routes hold for them.
    same_manifest: Vec<u64>,
    report: Mutex<Report>,
    progress: AtomicU64,
}

/// Checks all of a workflow's journal, on `threads` threads. `progress` is told the number of entries checked so far.
///
/// # Errors
/// Where the store or the sandbox fails; what is wrong with the journal is in the report.
pub fn verify(plan: &Plan, sandbox: &Sandbox, location: &Location, threads: usize, progress: impl Fn(u64)) -> Result<Report, VerifyError> {
    let mut readers = whole::readers(location, plan.id, threads + 1)?;
    let Some(reader) = readers.pop() else { return Err(VerifyError::Thread) };
    let releases = reader.releases(plan.id)?;
    let same_manifest =
        releases.iter().filter(|release| *release.manifest == *plan.workflow.manifest_digest).map(|release| release.generation).collect();
    let own = reader.entity(plan.id, "")?;
    let mut releases = Releases::check(&reader, &releases, own.as_ref())?;
    let wrong = std::mem::take(&mut releases.mismatches);
    let report = Mutex::new(Report::default());
    let verifier = Verifier { plan, sandbox, releases, whole: Whole::new(), same_manifest, report, progress: AtomicU64::new(0) };
    wrong.into_iter().for_each(|mismatch| verifier.tell(mismatch));
    if let Some(own) = own {
        verifier.entity(&reader, &own)?;
    }
    let (send, pages) = bounded::<Vec<EntityRow>>(threads);
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for reader in readers {
            let (pages, verifier) = (pages.clone(), &verifier);
            workers.push(scope.spawn(move || verifier.pages(&reader, &pages)));
        }
        drop(pages);
        let mut after = String::new();
        loop {
            let page = reader.entities_after(plan.id, &after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.key.to_string();
            if send.send(page).is_err() {
                break;
            }
            progress(verifier.progress.load(Ordering::Relaxed));
        }
        drop(send);
        for worker in workers {
            worker.join().map_err(|_| VerifyError::Thread)??;
        }
        Ok::<_, VerifyError>(())
    })?;
    if let Some(mismatch) = verifier.whole.compare(&reader, plan)? {
        verifier.tell(mismatch);
    }
    verifier.whole.orphans(&reader, plan.id, |mismatch| verifier.tell(mismatch))?;
    let mut report = verifier.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress(report.entries);
    report.told.sort_by(|a, b| (&a.entity, a.sequence, a.ordinal, a.what).cmp(&(&b.entity, b.sequence, b.ordinal, b.what)));
    Ok(report)
}

impl Verifier<'_> {
    fn pages(&self, reader: &Reader, pages: &Receiver<Vec<EntityRow>>) -> Result<(), VerifyError> {
        for page in pages {
            for row in page {
                self.entity(reader, &row)?;
            }
        }
        Ok(())
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        // A panic elsewhere is told where that thread is joined.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, mismatch: Mismatch) {
        let mut report = self.report();
        report.mismatches += 1;
        if report.told.len() < MOST_TOLD {
            report.told.push(mismatch);
        }
    }

    fn mismatch(&self, row: &EntityRow, entry: (u64, u32), what: &'static str, differences: Vec<Difference>) {
        let (sequence, ordinal) = entry;
        self.tell(Mismatch { entity: row.key.to_string(), sequence, ordinal, what, differences });
    }

    /// Walks an entity's chain back to its beginning, then replays it forward.
    fn entity(&self, reader: &Reader, row: &EntityRow) -> Result<(), VerifyError> {
        self.whole.entity(row);
        let mut rows = Vec::new();
        let mut next = row.head_row;
        let mut page = Vec::new().into_iter();
        while next > 0 {
            let mut found: Option<(Row, Row)> = page.next();
            if found.is_none() {
                page = reader.rows_back_from(next, CHAINED_TOGETHER)?.into_iter();
                found = page.next();
            }
            let previous = match found.map(|(_, previous)| previous) {
                Some(previous) if previous < next => previous,
                found => {
                    let difference = Difference {
                        path: format!("journal row {next}"),
                        stored: found.map_or("no such row".into(), |previous| format!("previous_row {previous}")),
                        replayed: "an earlier row".into(),
                    };
                    self.mismatch(row, (row.sequence, row.ordinal), "chain", vec![difference]);
                    self.whole.chain(row, &rows, true);
                    return Ok(());
                }
            };
            rows.push(next);
            next = previous;
        }
        self.whole.chain(row, &rows, false);
        let begins = reader.checkpoint(row.id)?.filter(|checkpoint| rows.last() == Some(&checkpoint.row));
        if begins.is_some() {
            self.report().truncated += 1;
        }
        let mut walk = Walk {
            verifier: self,
            row,
            head: begins.map_or([0; 32], |checkpoint| checkpoint.hash),
            sequence: begins.map_or(0, |checkpoint| checkpoint.sequence),
            state: if begins.is_some() { Known::Gone } else { Known::State(None) },
            is_truncated: begins.is_some(),
            unaccounted: None,
            derived: Derived::new(self.plan, &row.key),
            derivable: true,
        };
        let mut last = None;
        // They stand from the latest back.
        for together in rows.rchunks(ENTRIES_TOGETHER) {
            let (mut entries, events) = (reader.entries_in(together)?, reader.events_in(together)?);
            for journal_row in together.iter().rev() {
                let stored = match entries.remove(journal_row).unwrap_or_else(|| reader.entry(*journal_row)) {
                    Ok(stored) => stored,
                    Err(error @ (StoreError::Sql(_) | StoreError::Corrupt(_))) => {
                        let path = format!("journal row {journal_row}");
                        let difference = Difference { path, stored: error.to_string(), replayed: "an entry".into() };
                        self.mismatch(row, (row.sequence, row.ordinal), "chain", vec![difference]);
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                };
                walk.entry(events.get(journal_row), &stored)?;
                last = Some(stored);
            }
        }
        let count = rows.len() as u64;
        self.progress.fetch_add(count, Ordering::Relaxed);
        self.report().entries += count;
        if let Some(at) = walk.unaccounted {
            let difference = Difference {
                path: "erased".into(),
                stored: "payloads that are gone".into(),
                replayed: "a later entry that says who erased them".into(),
            };
            self.mismatch(row, at, "erased", vec![difference]);
        }
        let Some(last) = last else { return Ok(()) };
        let mut found = walk.derived.compare_row(row, &last);
        if row.key.is_empty() {
            found.extend(walk.derived.compare_pauses(&reader.pauses(row.workflow)?));
        } else if walk.derivable {
            let (timers, outbox, inbox) = (reader.timers(row.id)?, reader.outstanding(row.id)?, reader.inbox(row.id)?);
            found.extend(walk.derived.compare_pending(&timers, &outbox, &inbox));
        }
        if !found.is_empty() {
            self.mismatch(row, (row.sequence, row.ordinal), "tables", found);
        }
        Ok(())
    }

    /// Gives the release's reducer under the limits of `profile`.
    fn reducer(&self, release: &Replayer, profile: &Arc<str>) -> Result<Option<(Reducer, DecisionCodec)>, VerifyError> {
        let mut reducers = release.reducers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = reducers.get(profile) {
            return Ok(Some(known.clone()));
        }
        let Some(limits) = Limits::from_semantic_profile(profile) else { return Ok(None) };
        let reducer = self.sandbox.load(&release.component, release.contract.clone(), limits)?;
        let loaded = (reducer, DecisionCodec::new(&release.contract, &limits));
        reducers.insert(profile.clone(), loaded.clone());
        Ok(Some(loaded))
    }
}

/// The state before the next entry, as far as it can be known.
enum Known {
    State(Option<Box<[u8]>>),
    /// It was erased or truncated.
    Gone,
}

/// One entity's chain, as far as it was walked.
struct Walk<'a> {
    verifier: &'a Verifier<'a>,
    row: &'a EntityRow,
    head: EntryHash,
    sequence: u64,
    state: Known,
    /// An erased entry that no entry `erased` has followed yet.
    unaccounted: Option<(u64, u32)>,
    /// Whether timers may have been pending that nothing is known of.
    is_truncated: bool,
    derived: Derived<'a>,
    /// Whether the loaded routes hold for all of it.
    derivable: bool,
}

impl Walk<'_> {
    /// `event` is what its event's bytes are, where they are kept.
    fn entry(&mut self, event: Option<&Vec<u8>>, stored: &StoredEntry) -> Result<(), VerifyError> {
        let entry = &stored.entry;
        let at = (entry.sequence, entry.ordinal);
        let hash = entry.hash_over(&stored.payloads(), &self.head, &self.verifier.plan.workflow.name, &self.row.key, &stored.profile);
        let mut chain = Vec::new();
        if hash != stored.hash {
            chain.push(Difference { path: "hash".into(), stored: hex(&stored.hash), replayed: hex(&hash) });
        }
        // Later entries are compared with what they were chained to, so that only the altered one is named.
        self.head = stored.hash;
        let expected = if entry.kind == Kind::Decided { self.sequence + 1 } else { self.sequence };
        if entry.sequence != expected {
            chain.push(Difference { path: "sequence".into(), stored: entry.sequence.to_string(), replayed: expected.to_string() });
        }
        self.sequence = entry.sequence;
        if let Some(event_hash) = entry.event_hash
            && let Some(bytes) = event
            && sha256(bytes) != event_hash
        {
            let difference = Difference {
                path: "events.bytes".into(),
                stored: "bytes of another hash".into(),
                replayed: "the bytes that were decided on".into(),
            };
            self.verifier.mismatch(self.row, at, "event", vec![difference]);
        }
        if stored.erased.is_some() {
            self.verifier.report().erased += 1;
            self.unaccounted.get_or_insert(at);
        }
        if entry.kind == Kind::Erased {
            self.unaccounted = None;
        }
        self.derivable &= self.verifier.same_manifest.contains(&entry.release);
        self.derived.arrives(entry);
        let decided = match entry.kind {
            Kind::Decided => self.decided(stored)?,
            Kind::Migrated => self.migrated(stored)?,
            _ => Decided::default(),
        };
        if !decided.differences.is_empty() {
            // The differences say more than the hash that they broke.
            self.verifier.mismatch(self.row, at, "decision", decided.differences);
        } else if !chain.is_empty() {
            self.verifier.mismatch(self.row, at, "hash", chain);
        }
        self.derived.take(stored, decided.intents.as_deref());
        Ok(())
    }

    fn decided(&mut self, stored: &StoredEntry) -> Result<Decided, VerifyError> {
        let entry = &stored.entry;
        let before = match &self.state {
            Known::State(state) if !stored.input_is_erased() && !self.verifier.releases.gone.contains(&entry.release) => state.clone(),
            _ => return Ok(self.not_executed(stored)),
        };
        self.verifier.report().decisions += 1;
        let Some(release) = self.verifier.releases.replayers.get(&entry.release) else {
            return Ok(Decided::wrong("release", entry.release.to_string(), "a release of this workflow"));
        };
        let Some((reducer, codec)) = self.verifier.reducer(release, &stored.profile)? else {
            return Ok(Decided::wrong("profile", stored.profile.to_string(), "a profile that this version can keep to"));
        };
        let unreadable = |error: purefold_wit::DecodeError| Decided::wrong(&error.path, error.reason, "what the type admits");
        let input = match codec.input().decode("input", &entry.input, UnknownFields::Refuse) {
            Ok(input) => input,
            Err(error) => return Ok(unreadable(error)),
        };
        // Where it cannot be read, the entry that wrote it is the one that is named.
        let Ok(state) = before.as_deref().map(|json| codec.decode_state(json)).transpose() else {
            return Ok(Decided::default());
        };
        let plan = self.verifier.plan;
        let context = Context {
            now: entry.now,
            entity: self.row.key.clone(),
            sequence: entry.sequence,
            event_id: entry.event_id.clone(),
            correlation_id: entry.correlation_id.clone(),
            seed: seed(plan.journal, &plan.workflow.name, &self.row.key, entry.sequence),
        };
        let mut decision = reducer.reduce(&context, state.as_ref(), &input)?;
        let stored_fault = fault_code(entry.verdict, &entry.output);
        if self.is_truncated && stored_fault.as_deref() == Some("too-many-timers") {
            self.verifier.report().not_executed += 1;
            return Ok(Decided::default());
        }
        if self.derivable {
            decision = check(plan, &self.derived.timers(), state.as_ref(), decision);
        } else if stored_fault.as_deref().is_some_and(|code| HOST_FAULTS.contains(&code)) && matches!(decision, Decision::Accepted { .. }) {
            // The machine and routes of that release are not loaded: that it came back accepted is all that can be said.
            return Ok(Decided::default());
        }
        let (decision, encoded) = codec.encode(decision);
        let other_build = !stored.profile.ends_with(ENGINE_BUILD);
        let verdict = match &decision {
            Decision::Accepted { .. } => Verdict::Accepted,
            Decision::Rejected(_) => Verdict::Rejected,
            Decision::Faulted(_) => Verdict::Faulted,
        };
        let mut found = Vec::new();
        if entry.verdict != Some(verdict) {
            if other_build && stored_fault.as_deref().is_some_and(|code| LIMIT_FAULTS.contains(&code)) {
                self.verifier.report().other_build += 1;
                return Ok(Decided::default());
            }
            let name = |verdict: Option<Verdict>| verdict.map_or("none", Verdict::as_str).to_owned();
            found.push(Difference { path: "verdict".into(), stored: name(entry.verdict), replayed: name(Some(verdict)) });
        } else {
            let null = b"null".as_slice();
            let state_type = Type::Option(Type::Record(release.contract.state.clone()).into());
            found.extend(differences(
                "state",
                &state_type,
                entry.state.as_deref().unwrap_or(null),
                encoded.state.as_deref().unwrap_or(null),
            ));
            match verdict {
                Verdict::Accepted => {
                    let intents = Type::List(Type::Variant(release.contract.intent.clone()).into());
                    found.extend(differences("intents", &intents, &entry.output, &encoded.output));
                }
                Verdict::Rejected => found.extend(differences("rejection", &release.contract.rejection, &entry.output, &encoded.output)),
                Verdict::Faulted if fault_code(entry.verdict, &entry.output) != fault_code(entry.verdict, &encoded.output) => {
                    let text = |json: &[u8]| String::from_utf8_lossy(json).into_owned();
                    found.push(Difference { path: "fault".into(), stored: text(&entry.output), replayed: text(&encoded.output) });
                }
                Verdict::Faulted => {}
            }
        }
        if verdict == Verdict::Accepted {
            // What replay gives goes on, so that an altered state is named where it stands and nowhere after.
            self.state = Known::State(encoded.state);
        }
        let intents = match decision {
            Decision::Accepted { intents, .. } => Some(intents),
            _ => None,
        };
        Ok(Decided { differences: found, intents })
    }

    /// Takes over what a decision left that cannot be executed again.
    fn not_executed(&mut self, stored: &StoredEntry) -> Decided {
        let entry = &stored.entry;
        self.verifier.report().not_executed += 1;
        if entry.verdict != Some(Verdict::Accepted) {
            return Decided::default();
        }
        let erased = stored.erased;
        let state_is_gone = erased.is_some_and(|erased| erased.state.is_some());
        self.state = if state_is_gone { Known::Gone } else { Known::State(entry.state.clone()) };
        if erased.is_some_and(|erased| erased.output.is_some()) {
            return Decided::default();
        }
        let codec = |release: &Replayer| self.verifier.reducer(release, &stored.profile).ok().flatten().map(|(_, codec)| codec);
        let codec = self.verifier.releases.replayers.get(&entry.release).and_then(codec);
        let intents = match codec.map(|codec| codec.decode_intents(&entry.output)) {
            Some(Ok(Value::List(intents))) => Some(intents),
            _ => None,
        };
        // Nothing says what it left pending.
        self.derivable &= intents.is_some();
        Decided { differences: Vec::new(), intents }
    }

    fn migrated(&mut self, stored: &StoredEntry) -> Result<Decided, VerifyError> {
        let entry = &stored.entry;
        let state_is_erased = stored.erased.is_some_and(|erased| erased.state.is_some());
        let after = if state_is_erased { Known::Gone } else { Known::State(entry.state.clone()) };
        let before = match std::mem::replace(&mut self.state, after) {
            Known::State(before) if !state_is_erased && !self.verifier.releases.gone.contains(&entry.release) => before,
            _ => {
                self.verifier.report().not_executed += 1;
                return Ok(Decided::default());
            }
        };
        let Some(release) = self.verifier.releases.replayers.get(&entry.release) else {
            return Ok(Decided::wrong("release", entry.release.to_string(), "a release of this workflow"));
        };
        let Some((reducer, codec)) = self.verifier.reducer(release, &stored.profile)? else { return Ok(Decided::default()) };
        let (Some(before), Some(previous)) = (before, &release.contract.migrate) else {
            return Ok(Decided::wrong("state", "a migrated state".into(), "none to migrate"));
        };
        let Ok(before) = purefold_wit::Codec::new(previous).decode("state", &before, UnknownFields::Refuse) else {
            return Ok(Decided::default());
        };
        let Some(Ok(migrated)) = reducer.migrate(&before)? else {
            return Ok(Decided::wrong("state", "a migrated state".into(), "migrate refuses it"));
        };
        let (_, encoded) = codec.encode(Decision::Accepted { state: Some(migrated), intents: Vec::new() });
        let state_type = Type::Record(release.contract.state.clone());
        let stored_state = entry.state.as_deref().unwrap_or_default();
        let found = differences("state", &state_type, stored_state, encoded.state.as_deref().unwrap_or_default());
        Ok(Decided { differences: found, intents: None })
    }
}

/// What replaying one entry gave.
#[derive(Default)]
struct Decided {
    differences: Vec<Difference>,
    intents: Option<Vec<Value>>,
}

impl Decided {
    fn wrong(path: &str, stored: String, replayed: &str) -> Self {
        Decided { differences: vec![Difference { path: path.into(), stored, replayed: replayed.into() }], intents: None }
    }
}

fn fault_code(verdict: Option<Verdict>, output: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Fault {
        code: String,
    }
    (verdict == Some(Verdict::Faulted)).then(|| serde_json::from_slice::<Fault>(output).map(|fault| fault.code).unwrap_or_default())
}
