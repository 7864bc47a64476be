//! One entity's chain, walked forward: each entry held to the hash before it and to what deciding again gives.

use std::sync::Arc;

use purefold_wit::{Type, UnknownFields, Value};

use super::ReplayError;
use super::derived::Derived;
use super::diff::{Difference, differences};
use super::verify::{Ready, Replayer, Report, Verifier};
use crate::engine::{Plan, check};
use crate::journal::{EntryHash, Kind, Verdict, hex, intent_id, seed, sha256};
use crate::sandbox::{Context, Decision, ENGINE_BUILD};
use crate::store::{CheckedHead, Checkpoint, EntityRow, Reader, StoredEntry};

/// Faults that the host finds in what a reducer returned.
const HOST_FAULTS: [&str; 3] = ["machine", "deliver-key", "too-many-timers"];

/// Faults by a limit, whose exact point may differ between engine builds.
const LIMIT_FAULTS: [&str; 4] = ["fuel", "memory", "stack", "trap"];

/// The state before the next entry, as far as it can be known.
enum Known {
    State(Option<Box<[u8]>>),
    /// As the decision before left it: the value that was encoded, and the release whose type it is of.
    Decided(Box<[u8]>, Value, u64),
    /// It was erased or truncated.
    Gone,
}

/// What is left pending after an entity's last entry, for a walk that goes on from there.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Left {
    sequence: u64,
    derived: Derived,
    derivable: bool,
    is_truncated: bool,
}

impl Left {
    /// As text for the file of what was checked.
    pub(super) fn text(&self) -> String {
        // Maps with texts as keys, and numbers: there is nothing that has no JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One entity's chain, as far as it was walked.
pub(super) struct Walk<'a> {
    verifier: &'a Verifier<'a>,
    row: &'a EntityRow,
    head: EntryHash,
    sequence: u64,
    state: Known,
    /// What decided last, and by which release and profile: mostly the next entry's too.
    ready: Option<(u64, Arc<str>, Arc<Ready>)>,
    /// An erased entry that no entry `erased` has followed yet.
    unaccounted: Option<(u64, u32)>,
    /// Whether timers may have been pending that nothing is known of.
    is_truncated: bool,
    derived: Derived,
    /// Whether the routes of all of it are known.
    derivable: bool,
    /// Whether it goes on where an earlier run ended.
    resumed: bool,
    /// Whether something was wrong.
    wrong: bool,
    /// What was counted; mismatches are told at once.
    pub(super) counted: Report,
}

impl<'a> Walk<'a> {
    /// From the first entry on, which follows `begins` where earlier ones are truncated.
    pub(super) fn new(verifier: &'a Verifier<'a>, row: &'a EntityRow, begins: Option<&Checkpoint>) -> Self {
        Walk {
            verifier,
            row,
            head: begins.map_or([0; 32], |checkpoint| checkpoint.hash),
            sequence: begins.map_or(0, |checkpoint| checkpoint.sequence),
            state: if begins.is_some() { Known::Gone } else { Known::State(None) },
            ready: None,
            is_truncated: begins.is_some(),
            unaccounted: None,
            derived: Derived::default(),
            derivable: true,
            resumed: false,
            wrong: false,
            counted: Report { truncated: u64::from(begins.is_some()), ..Report::default() },
        }
    }

    /// On from where an earlier run ended; none where what that takes is gone: then all is checked again.
    pub(super) fn resumed(verifier: &'a Verifier<'a>, reader: &Reader, row: &'a EntityRow, before: &CheckedHead) -> Option<Self> {
        let left: Left = serde_json::from_str(&before.left).ok()?;
        let state = left.derived.state_row().map(|state| reader.state(state)).transpose().ok()?;
        let mut walk = Walk::new(verifier, row, None);
        walk.head = before.hash;
        walk.sequence = left.sequence;
        walk.state = Known::State(state.map(|(json, _)| json));
        walk.is_truncated = left.is_truncated;
        walk.counted.truncated = u64::from(left.is_truncated);
        walk.derived = left.derived;
        walk.derivable = left.derivable;
        walk.resumed = true;
        Some(walk)
    }

    pub(super) fn mismatch(&mut self, entry: (u64, u32), what: &'static str, differences: Vec<Difference>) {
        self.wrong = true;
        self.verifier.mismatch(self.row, entry, what, differences);
    }

    /// Compares what the chain comes to with the tables; `last` is its last entry, where any was walked. Gives what is left
    /// pending where all of it is well.
    pub(super) fn end(mut self, reader: &Reader, last: Option<&StoredEntry>) -> Result<Option<Left>, ReplayError> {
        if let Some(at) = self.unaccounted {
            let difference = Difference {
                path: "erased".into(),
                stored: "payloads that are gone".into(),
                replayed: "a later entry that says who erased them".into(),
            };
            self.mismatch(at, "erased", vec![difference]);
        }
        let row = self.row;
        let mut found = Vec::new();
        match last {
            Some(last) => found.extend(self.derived.compare_row(row, last)),
            // Nothing has been added since it was checked.
            None if self.resumed && self.head == row.head => {}
            None if self.resumed => {
                found.push(Difference { path: "entities.head".into(), stored: hex(&row.head), replayed: hex(&self.head) });
            }
            None => return Ok(None),
        }
        if row.key.is_empty() {
            found.extend(self.derived.compare_pauses(&reader.pauses(row.workflow)?));
        } else if self.derivable {
            let (timers, outbox, inbox) = (reader.timers(row.id)?, reader.outstanding(row.id)?, reader.inbox(row.id)?);
            found.extend(self.derived.compare_pending(&timers, &outbox, &inbox));
        }
        if !found.is_empty() {
            self.mismatch((row.sequence, row.ordinal), "tables", found);
        }
        let Walk { sequence, derived, derivable, is_truncated, .. } = self;
        let is_well = !self.wrong && !matches!(self.state, Known::Gone);
        Ok(is_well.then_some(Left { sequence, derived, derivable, is_truncated }))
    }

    /// The machine and routes of a release, where they are known.
    fn plan_of(&self, release: u64) -> Option<&'a Plan> {
        self.verifier.releases.replayers.get(&release)?.plan.as_deref()
    }

    /// `event` is what its event's bytes are, where they are kept.
    pub(super) fn entry(&mut self, event: Option<&[u8]>, stored: &StoredEntry) -> Result<(), ReplayError> {
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
            self.mismatch(at, "event", vec![difference]);
        }
        if stored.erased.is_some() {
            self.counted.erased += 1;
            self.unaccounted.get_or_insert(at);
        }
        if entry.kind == Kind::Erased {
            self.unaccounted = None;
        }
        let plan = self.plan_of(entry.release);
        self.derivable &= plan.is_some();
        self.derived.arrives(entry);
        let decided = match entry.kind {
            Kind::Decided => self.decided(stored)?,
            Kind::Migrated => self.migrated(stored)?,
            _ => Decided::default(),
        };
        if !decided.differences.is_empty() {
            // The differences say more than the hash that they broke.
            self.mismatch(at, "decision", decided.differences);
        } else if !chain.is_empty() {
            self.mismatch(at, "hash", chain);
        }
        let routes = plan.map_or(&[][..], |plan| &plan.workflow.routes);
        let (journal, workflow, key) = (self.verifier.plan.journal, &self.verifier.plan.workflow.name, &self.row.key);
        let ids = |index| intent_id(journal, workflow, key, entry.sequence, index).to_string();
        self.derived.take(stored, decided.intents.as_deref(), routes, key.is_empty(), ids);
        Ok(())
    }

    /// The reducer of a release under the limits of `profile`, where this version can keep to them.
    fn ready(&mut self, release: &Replayer, generation: u64, profile: &Arc<str>) -> Result<Option<Arc<Ready>>, ReplayError> {
        if let Some((_, _, ready)) = self.ready.as_ref().filter(|(of, under, _)| *of == generation && under == profile) {
            return Ok(Some(ready.clone()));
        }
        let ready = self.verifier.reducer(release, profile)?;
        self.ready = ready.clone().map(|ready| (generation, profile.clone(), ready));
        Ok(ready)
    }

    fn decided(&mut self, stored: &StoredEntry) -> Result<Decided, ReplayError> {
        let entry = &stored.entry;
        if matches!(self.state, Known::Gone) || stored.input_is_erased() || self.verifier.releases.gone.contains(&entry.release) {
            return Ok(self.not_executed(stored));
        }
        self.counted.decisions += 1;
        let verifier = self.verifier;
        let Some(release) = verifier.releases.replayers.get(&entry.release) else {
            return Ok(Decided::wrong("release", entry.release.to_string(), "a release of this workflow"));
        };
        let Some(ready) = self.ready(release, entry.release, &stored.profile)? else {
            return Ok(Decided::wrong("profile", stored.profile.to_string(), "a profile that this version can keep to"));
        };
        let Ready { reducer, codec, .. } = &*ready;
        let unreadable = |error: purefold_wit::DecodeError| Decided::wrong(&error.path, error.reason, "what the type admits");
        let input = match codec.input().decode("input", &entry.input, UnknownFields::Refuse) {
            Ok(input) => input,
            Err(error) => return Ok(unreadable(error)),
        };
        // Where it cannot be read, the entry that wrote it is the one that is named.
        let read;
        let state = match &self.state {
            Known::Gone | Known::State(None) => None,
            Known::Decided(_, value, of) if *of == entry.release => Some(value),
            Known::State(Some(json)) | Known::Decided(json, ..) => match codec.decode_state(json) {
                Ok(value) => {
                    read = value;
                    Some(&read)
                }
                Err(_) => return Ok(Decided::default()),
            },
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
        let mut decision = reducer.reduce(&context, state, &input)?;
        let stored_fault = fault_code(entry.verdict, &entry.output);
        if self.is_truncated && stored_fault.as_deref() == Some("too-many-timers") {
            self.counted.not_executed += 1;
            return Ok(Decided::default());
        }
        if let Some(own) = self.plan_of(entry.release).filter(|_| self.derivable) {
            decision = check(own, &self.derived.timers(), state, decision);
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
                self.counted.other_build += 1;
                return Ok(Decided::default());
            }
            let name = |verdict: Option<Verdict>| verdict.map_or("none", Verdict::as_str).to_owned();
            found.push(Difference { path: "verdict".into(), stored: name(entry.verdict), replayed: name(Some(verdict)) });
        } else {
            let null = b"null".as_slice();
            let (before, after) = (entry.state.as_deref().unwrap_or(null), encoded.state.as_deref().unwrap_or(null));
            found.extend(differences("state", &ready.state, before, after));
            match verdict {
                Verdict::Accepted => found.extend(differences("intents", &ready.intents, &entry.output, &encoded.output)),
                Verdict::Rejected => found.extend(differences("rejection", &release.contract.rejection, &entry.output, &encoded.output)),
                Verdict::Faulted if fault_code(entry.verdict, &entry.output) != fault_code(entry.verdict, &encoded.output) => {
                    let text = |json: &[u8]| String::from_utf8_lossy(json).into_owned();
                    found.push(Difference { path: "fault".into(), stored: text(&entry.output), replayed: text(&encoded.output) });
                }
                Verdict::Faulted => {}
            }
        }
        let intents = match decision {
            Decision::Accepted { state, intents } => {
                // What replay gives goes on, so that an altered state is named where it stands and nowhere after.
                self.state = match (encoded.state, state) {
                    (Some(json), Some(value)) => Known::Decided(json, value, entry.release),
                    (json, _) => Known::State(json),
                };
                Some(intents)
            }
            _ => None,
        };
        Ok(Decided { differences: found, intents })
    }

    /// Takes over what a decision left that cannot be executed again.
    fn not_executed(&mut self, stored: &StoredEntry) -> Decided {
        let entry = &stored.entry;
        self.counted.not_executed += 1;
        if entry.verdict != Some(Verdict::Accepted) {
            return Decided::default();
        }
        let erased = stored.erased;
        let state_is_gone = erased.is_some_and(|erased| erased.state.is_some());
        self.state = if state_is_gone { Known::Gone } else { Known::State(entry.state.clone()) };
        if erased.is_some_and(|erased| erased.output.is_some()) {
            return Decided::default();
        }
        let ready = |release: &Replayer| self.verifier.reducer(release, &stored.profile).ok().flatten();
        let ready = self.verifier.releases.replayers.get(&entry.release).and_then(ready);
        let intents = match ready.map(|ready| ready.codec.decode_intents(&entry.output)) {
            Some(Ok(Value::List(intents))) => Some(intents),
            _ => None,
        };
        // Nothing says what it left pending.
        self.derivable &= intents.is_some();
        Decided { differences: Vec::new(), intents }
    }

    fn migrated(&mut self, stored: &StoredEntry) -> Result<Decided, ReplayError> {
        let entry = &stored.entry;
        let state_is_erased = stored.erased.is_some_and(|erased| erased.state.is_some());
        let after = if state_is_erased { Known::Gone } else { Known::State(entry.state.clone()) };
        let can_be_executed = !state_is_erased && !self.verifier.releases.gone.contains(&entry.release);
        let before = match std::mem::replace(&mut self.state, after) {
            Known::State(before) if can_be_executed => before,
            Known::Decided(before, ..) if can_be_executed => Some(before),
            _ => {
                self.counted.not_executed += 1;
                return Ok(Decided::default());
            }
        };
        let Some(release) = self.verifier.releases.replayers.get(&entry.release) else {
            return Ok(Decided::wrong("release", entry.release.to_string(), "a release of this workflow"));
        };
        let Some(ready) = self.verifier.reducer(release, &stored.profile)? else { return Ok(Decided::default()) };
        let Some(before) = before else {
            return Ok(Decided::wrong("state", "a migrated state".into(), "none to migrate"));
        };
        let earlier = self.verifier.releases.replayers.iter().filter(|(generation, _)| **generation < entry.release);
        let earlier = earlier.max_by_key(|(generation, _)| **generation).map(|(_, replayer)| replayer);
        let from = earlier.map(|earlier| earlier.contract.state_fingerprint());
        let migrated = match (&release.contract.migrate, earlier) {
            (Some(previous), _) if release.contract.migrates_from() == from => {
                let Ok(before) = purefold_wit::Codec::new(previous).decode("state", &before, UnknownFields::Refuse) else {
                    return Ok(Decided::default());
                };
                ready.reducer.migrate(&before)?
            }
            // Back to a type that the release before knows how to give back.
            (_, Some(earlier)) if earlier.contract.downgrades_to() == Some(release.contract.state_fingerprint()) => {
                let Some(newer) = self.verifier.reducer(earlier, &stored.profile)? else { return Ok(Decided::default()) };
                let Ok(before) = newer.codec.decode_state(&before) else { return Ok(Decided::default()) };
                newer.reducer.downgrade(&before)?
            }
            _ => None,
        };
        let Some(Ok(migrated)) = migrated else {
            return Ok(Decided::wrong("state", "a migrated state".into(), "no function of the releases gives it"));
        };
        let (_, encoded) = ready.codec.encode(Decision::Accepted { state: Some(migrated), intents: Vec::new() });
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
