//! What one commit changes: rows to write, all or none.

use std::sync::Arc;

use crate::journal::{Entry, EntryHash, Warrant};

/// Row id of an entity. The engine gives them out.
pub type EntityId = i64;

/// Row id of a journal entry. The engine gives them out, ascending.
pub type Row = i64;

/// One commit.
#[derive(Debug, Default)]
pub struct Batch {
    /// Counts the commits of this process.
    pub number: u64,
    /// Entities that changed, each once.
    pub entities: Vec<EntityRow>,
    /// New entries, by ascending row.
    pub entries: Vec<EntryRow>,
    /// Events newly accepted.
    pub accepted: Vec<AcceptedRow>,
    /// Rows of `accepted` up to this one have left the window.
    pub forget_accepted: Option<i64>,
    /// Events whose entities are in shards of other hosts.
    pub forwarded_added: Vec<ForwardedRow>,
    /// Events of other hosts that are decided, wait in an inbox or are dead letters.
    pub forwarded_removed: Vec<i64>,
    /// Events that could not be taken.
    pub dead_letters: Vec<DeadLetterRow>,
    /// Dead letters that an operator dropped or had decided after all.
    pub dead_letters_removed: Vec<i64>,
    /// Intents to perform.
    pub outbox_added: Vec<OutboxRow>,
    /// Intents concluded.
    pub outbox_removed: Vec<IntentKey>,
    /// Intents whose standing changed without a conclusion.
    pub outbox_changed: Vec<OutboxChange>,
    /// Timers set or set again.
    pub timers_set: Vec<TimerRow>,
    /// Timers fired, taken back or gone with their entity.
    pub timers_removed: Vec<(EntityId, Arc<str>)>,
    /// Inputs for other entities.
    pub deliveries_added: Vec<DeliveryRow>,
    /// Deliveries decided or put into an inbox.
    pub deliveries_removed: Vec<i64>,
    /// Inputs that wait behind a fault.
    pub inbox_added: Vec<InboxRow>,
    /// Inputs that wait no more.
    pub inbox_removed: Vec<i64>,
    /// How far the sources have been read.
    pub sources: Vec<SourceRow>,
    /// Sources that are read from another position on.
    pub sources_reset: Vec<SourceReset>,
    /// The virtual clock of a workflow.
    pub clocks: Vec<(i64, u64)>,
    /// Releases that come into force, with what they are made of.
    pub releases: Vec<super::release::NewRelease>,
    /// Releases that this host goes on under from here on.
    pub in_force: Vec<super::release::TakenUp>,
    /// Operators' commands that were applied, with the answer.
    pub answers: Vec<(i64, String)>,
    /// What this host asks of others, as an operator would.
    pub commands_added: Vec<AskedRow>,
    /// What stands still from now on.
    pub pauses_added: Vec<PauseRow>,
    /// What goes on, by workflow and scope.
    pub pauses_removed: Vec<(i64, Scope)>,
    /// Payloads to erase.
    pub erased: Vec<ErasedRow>,
    /// How far entities are erased; nothing is left to do where the next row is 0.
    pub erasing: Vec<ErasingRow>,
    /// Entities whose first entries go.
    pub truncations: Vec<Truncation>,
    /// Entries whose events' bytes go.
    pub events_forgotten: Vec<Row>,
}

impl Batch {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Taken apart, so that a new field cannot be forgotten: an entity that waits in its inbox changes nothing else.
        let Batch {
            number: _,
            entities,
            entries,
            accepted,
            forget_accepted,
            forwarded_added,
            forwarded_removed,
            dead_letters,
            dead_letters_removed,
            outbox_added,
            outbox_removed,
            outbox_changed,
            timers_set,
            timers_removed,
            deliveries_added,
            deliveries_removed,
            inbox_added,
            inbox_removed,
            sources,
            sources_reset,
            clocks,
            releases,
            in_force,
            answers,
            commands_added,
            pauses_added,
            pauses_removed,
            erased,
            erasing,
            truncations,
            events_forgotten,
        } = self;
        entities.is_empty()
            && entries.is_empty()
            && accepted.is_empty()
            && forget_accepted.is_none()
            && forwarded_added.is_empty()
            && forwarded_removed.is_empty()
            && dead_letters.is_empty()
            && dead_letters_removed.is_empty()
            && outbox_added.is_empty()
            && outbox_removed.is_empty()
            && outbox_changed.is_empty()
            && timers_set.is_empty()
            && timers_removed.is_empty()
            && deliveries_added.is_empty()
            && deliveries_removed.is_empty()
            && inbox_added.is_empty()
            && inbox_removed.is_empty()
            && sources.is_empty()
            && sources_reset.is_empty()
            && clocks.is_empty()
            && releases.is_empty()
            && in_force.is_empty()
            && answers.is_empty()
            && commands_added.is_empty()
            && pauses_added.is_empty()
            && pauses_removed.is_empty()
            && erased.is_empty()
            && erasing.is_empty()
            && truncations.is_empty()
            && events_forgotten.is_empty()
    }
}

/// An entity as it is after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow {
    /// Its id.
    pub id: EntityId,
    /// The workflow's id.
    pub workflow: i64,
    /// The key's text; empty for the workflow itself.
    pub key: Arc<str>,
    /// The last decision's number.
    pub sequence: u64,
    /// The last entry's ordinal.
    pub ordinal: u32,
    /// The latest `now`.
    pub now: u64,
    /// The last entry's hash.
    pub head: EntryHash,
    /// The last entry's row.
    pub head_row: Row,
    /// The row that holds the state.
    pub state_row: Option<Row>,
    /// Whether it waits for an operator.
    pub parked: bool,
    /// `head_row` before this commit: what the engine decided on. The commit fails where the store has another. 0: the entity is new.
    pub expected_head_row: Row,
    /// `head` before this commit.
    pub expected_head: EntryHash,
}

/// A journal entry with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its row.
    pub row: Row,
    /// The entity.
    pub entity: EntityId,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// Id of the semantic profile and engine build.
    pub profile: i64,
    /// The entry's hash.
    pub hash: EntryHash,
    /// The entry.
    pub entry: Entry,
    /// The original bytes of the event that led here.
    pub event: Option<Arc<[u8]>>,
}

/// An event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedRow {
    /// Ascending over all sources.
    pub row: i64,
    /// The source's id.
    pub source: i64,
    /// Its line there, from 1.
    pub line: u64,
    /// See [`crate::journal::event_fingerprint`].
    pub fingerprint: u128,
    /// The entity's shard, where it is about one.
    pub shard: Option<u16>,
    /// When, on the host's clock or the workflow's virtual one.
    pub now: u64,
}

/// An event whose entity is in a shard of another host, which is to decide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRow {
    /// Its id. The engine gives them out, ascending.
    pub id: i64,
    /// The workflow's id.
    pub workflow: i64,
    /// The entity's key.
    pub key: Arc<str>,
    /// The source's id.
    pub source: i64,
    /// Its line there, from 1; 0 where it was sent.
    pub line: u64,
    /// The event's bytes.
    pub bytes: Arc<[u8]>,
    /// When it was read.
    pub now: u64,
}

/// Something that a host asks of whoever can do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRow {
    /// The workflow's name.
    pub workflow: Arc<str>,
    /// What to do.
    pub command: &'static str,
    /// On what.
    pub subject: String,
    /// Who asks, and why.
    pub warrant: Warrant,
}

/// The first entries of an entity, which go: its chain begins later from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The entity.
    pub entity: EntityId,
    /// The entry that the chain begins with.
    pub first_row: Row,
    /// Hash of the entry before it.
    pub hash: EntryHash,
    /// Sequence of the entry before it.
    pub sequence: u64,
    /// The entries that go.
    pub rows: Vec<Row>,
}

/// Payloads of an entry that are erased now: the hashes of what stood there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedRow {
    /// The entry's row.
    pub row: Row,
    /// Of the input, where it is erased.
    pub input: Option<EntryHash>,
    /// Of the state, where it is erased.
    pub state: Option<EntryHash>,
    /// Of the output, where it is erased.
    pub output: Option<EntryHash>,
}

/// How far the entries of an entity are erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasingRow {
    /// The entity.
    pub entity: EntityId,
    /// From here back it is still to be done.
    pub next_row: Row,
    /// The entry whose state stays.
    pub keep_row: Option<Row>,
    /// The command that asked for it.
    pub command: i64,
}

/// What a pause holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The workflow: it takes no events and fires no timers.
    Workflow,
    /// An effect: it starts no attempts.
    Effect(Arc<str>),
    /// An entity: its inputs wait.
    Entity(Arc<str>),
}

impl Scope {
    /// The name in the store and on the command line.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Scope::Workflow => "workflow",
            Scope::Effect(_) => "effect",
            Scope::Entity(_) => "entity",
        }
    }

    /// Which effect or entity; empty for the workflow.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Scope::Workflow => "",
            Scope::Effect(name) | Scope::Entity(name) => name,
        }
    }

    /// As entries of the journal name it.
    #[must_use]
    pub fn about(&self) -> serde_json::Value {
        match self {
            Scope::Workflow => serde_json::json!({ "workflow": true }),
            Scope::Effect(_) | Scope::Entity(_) => serde_json::json!({ self.as_str(): self.name() }),
        }
    }

    /// The scope of these names.
    #[must_use]
    pub fn from_names(scope: &str, name: Arc<str>) -> Option<Self> {
        match scope {
            "workflow" => Some(Scope::Workflow),
            "effect" => Some(Scope::Effect(name)),
            "entity" => Some(Scope::Entity(name)),
            _ => None,
        }
    }
}

/// Something that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRow {
    /// The workflow's id.
    pub workflow: i64,
    /// What.
    pub scope: Scope,
    /// Since when, on the workflow's clock.
    pub since: u64,
    /// Who paused it, and why.
    pub warrant: Warrant,
}

/// An event that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// The workflow's id.
    pub workflow: i64,
    /// The source's id.
    pub source: i64,
    /// Its line there, from 1.
    pub line: u64,
    /// The event's id, where it could be read.
    pub event_id: Option<String>,
    /// Stable code.
    pub code: &'static str,
    /// Where in the event.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// The event's bytes.
    pub bytes: Arc<[u8]>,
    /// The entity's key, where it could be read.
    pub key: Option<Arc<str>>,
    /// When it was buried, on the workflow's clock.
    pub now: u64,
}

/// Names an intent within a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentKey {
    /// The entity that asked.
    pub entity: EntityId,
    /// The decision that asked.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
}

/// An intent in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Which intent.
    pub key: IntentKey,
    /// The entry that holds its payload.
    pub row: Row,
    /// The effect that performs it.
    pub effect: Arc<str>,
}

/// How an intent stands that has no conclusion yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxStatus {
    /// Waits or is being tried.
    Pending,
    /// Waits for an operator; blocks its lane.
    Held,
    /// Will be concluded as failed without an attempt: an intent that it comes after failed, or an operator gave it up.
    Settled,
}

impl OutboxStatus {
    /// The name in the store and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OutboxStatus::Pending => "pending",
            OutboxStatus::Held => "held",
            OutboxStatus::Settled => "settled",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [OutboxStatus::Pending, OutboxStatus::Held, OutboxStatus::Settled].into_iter().find(|status| status.as_str() == name)
    }
}

/// A new standing of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxChange {
    /// Which intent.
    pub key: IntentKey,
    /// Its standing.
    pub status: OutboxStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

/// A pending timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// The entity.
    pub entity: EntityId,
    /// The timer's name.
    pub name: Arc<str>,
    /// When it falls due, in microseconds.
    pub due: u64,
    /// The decision that set it: with `index`, its generation.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
    /// Carried to the input.
    pub correlation_id: Arc<str>,
    /// Whether it has fallen due and stands in its entity's inbox.
    pub waits: bool,
    /// The entity's workflow.
    pub workflow: i64,
}

/// An input for another entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id. The engine gives them out, ascending.
    pub id: i64,
    /// The workflow that takes it.
    pub workflow: Arc<str>,
    /// The entity that takes it.
    pub key: Arc<str>,
    /// The input case, in kebab case.
    pub input: String,
    /// The record, as JSON.
    pub payload: Box<[u8]>,
    /// The asking decision's `now`.
    pub now: u64,
    /// The asking workflow and entity, for the order among several senders.
    pub sender: String,
    /// The decision that asked.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
    /// The intent's id.
    pub event_id: Arc<str>,
    /// Carried through.
    pub correlation_id: Arc<str>,
}

/// An input that waits behind a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// Its id. The engine gives them out, ascending.
    pub id: i64,
    /// The entity.
    pub entity: EntityId,
    /// `event`, `outcome`, `timer` or `delivery`.
    pub origin: &'static str,
    /// The asking decision of an outcome, timer or delivery; else 0.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
    /// The time that it carries.
    pub now: u64,
    /// The event's or the asking intent's id.
    pub event_id: Arc<str>,
    /// Carried through.
    pub correlation_id: Arc<str>,
    /// The input, as canonical JSON.
    pub input: Box<[u8]>,
    /// The event's original bytes.
    pub bytes: Option<Arc<[u8]>>,
}

/// How far a source has been read by a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The source's id.
    pub id: i64,
    /// Byte offset from which a restart reads on: everything before it is done.
    pub next_offset: u64,
    /// Lines before that offset.
    pub next_line: u64,
    /// Lines read and sorted in all; those between the two are done only where `accepted` or `dead_letters` name them.
    pub read_line: u64,
    /// SHA-256 of the line before `next_offset`: tells when the file is not the one that was read.
    pub tail: EntryHash,
    /// Duplicates counted.
    pub duplicates: u64,
    /// What was read, where a name can come to mean another thing: the cluster of a Kafka partition. Empty before anything was.
    pub log: Arc<str>,
    /// How often an operator has set the position.
    pub generation: u64,
    /// `next_line` before this commit. The commit fails where the store has another: somebody else has read on.
    pub expected_line: u64,
}

/// A position that an operator sets. What was known of the lines until now stands under another name from then on: it says
/// nothing of those that are read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReset {
    /// The source's id.
    pub source: i64,
    /// How many lines come before the first that is read now.
    pub line: u64,
}
