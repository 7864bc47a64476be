//! Retention: what is old goes, some rows with each commit, in a sweep over the journal from its first entry on.
//!
//! What an entity still needs never goes: the entry that holds its state, those of outstanding intents and pending timers,
//! everything while it is parked, paused with inputs waiting or being erased, and its last entry.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::store::{Aged, Chained, EntityId, Numbers, Protection, Row, Truncation};
use crate::workflow::manifest::{Entries, RetentionSettings};

/// Entries that are looked at together.
const PAGE: u32 = 512;

/// Entries that one commit drops.
const MOST_DROPPED: usize = 1024;

/// Entries of a chain that are read for that: these, and the one that it begins with then.
const MOST_TOGETHER: u32 = 1025;

/// Dead letters of a workflow that one commit drops.
const MOST_LETTERS: u32 = 512;

/// Between two looks that find nothing old.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How far the sweep has come.
#[derive(Default)]
pub(super) struct Sweep {
    after: Row,
    next_look: Duration,
    /// The commit that holds what was found last: what it drops is still there to be read before.
    waits_for: u64,
    /// Commands that wait for a whole sweep.
    asked: Vec<i64>,
    dropped: Dropped,
}

/// What the sweep has dropped so far.
#[derive(Clone, Copy, Default)]
struct Dropped {
    entries: usize,
    events: usize,
    letters: usize,
}

impl Sweep {
    /// Begins anew, without a pause, for a command.
    pub(super) fn ask(&mut self, command: i64) {
        self.asked.push(command);
        self.begin();
    }

    /// Begins anew, without a pause.
    pub(super) fn begin(&mut self) {
        (self.after, self.next_look, self.dropped) = (0, Duration::ZERO, Dropped::default());
    }

    pub(super) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }
}

/// What is old for a workflow, on its clock.
struct Limits {
    settings: RetentionSettings,
    entries: u64,
    ended: u64,
    events: u64,
    letters: u64,
}

impl Limits {
    fn new(settings: &RetentionSettings, now: u64) -> Self {
        let before = |lifetime: Option<Duration>| {
            lifetime.map_or(0, |lifetime| now.saturating_sub(u64::try_from(lifetime.as_micros()).unwrap_or(u64::MAX)))
        };
        let entries = match settings.journal {
            Entries::For(lifetime) => before(Some(lifetime)),
            Entries::All | Entries::Decisions(_) => 0,
        };
        Limits {
            entries,
            ended: before(settings.ended),
            events: before(settings.events),
            letters: before(settings.dead_letters),
            settings: settings.clone(),
        }
    }

    /// Whether no entry from that time on is old.
    fn is_young(&self, now: u64) -> bool {
        !matches!(self.settings.journal, Entries::Decisions(_)) && now >= self.entries.max(self.ended).max(self.events)
    }

    /// Whether the entity's chain may begin with this entry.
    fn may_begin_with(&self, entry: &Aged, entity: &Protection) -> bool {
        // A needed decision must be among what stays.
        let is_after = |needed: u64| (entry.sequence, entry.ordinal) > (needed, 0);
        let is_needed = entity.needed.is_some_and(is_after) && !planted(Mistake::NeededTruncated);
        if entity.untouched || is_needed || entity.state_row.is_some_and(|row| entry.row > row) {
            return false;
        }
        let has_ended = entity.state_row.is_none() && entity.now < self.ended;
        has_ended
            || match self.settings.journal {
                Entries::All => false,
                Entries::For(_) => entry.now < self.entries,
                Entries::Decisions(decisions) => entry.sequence <= entity.sequence.saturating_sub(decisions),
            }
    }
}

impl Engine {
    /// Adds what is old to the draft of the next commit.
    pub(super) fn forget_some(&mut self) -> Result<(), EngineError> {
        let elapsed = self.clock.elapsed();
        let is_due = elapsed >= self.state.sweep.next_look || self.state.sweep.is_asked();
        if !is_due || self.state.committed < self.state.sweep.waits_for {
            return Ok(());
        }
        let now = self.workflow_now();
        let plans = &self.shared.plans;
        let limits: HashMap<i64, Limits> = plans
            .iter()
            .filter(|plan| plan.workflow.manifest.retention.forgets())
            .map(|plan| (plan.id, Limits::new(&plan.workflow.manifest.retention, now)))
            .collect();
        if limits.is_empty() {
            self.state.sweep.next_look = Duration::MAX;
            return self.sweep_over();
        }
        let (letters, letters_left) = self.old_letters(&limits)?;
        let page = self.reader.aged_after(self.state.sweep.after, PAGE)?;
        // On virtual time the journal is not in the order of its entries' times: all of it is looked at.
        let in_order = !self.course.event_clock;
        let young = |entry: &Aged| in_order && limits.get(&entry.workflow).is_some_and(|limits| limits.is_young(entry.now));
        // Where several hosts write, those of another epoch that follow may be older again.
        let young_epoch = page.iter().find(|entry| young(entry)).map(|entry| Numbers::with(entry.row));
        let is_last = if self.share.is_shared() {
            page.len() < PAGE as usize && young_epoch.is_none()
        } else {
            page.len() < PAGE as usize || young_epoch.is_some()
        };
        let page: Vec<Aged> = page.into_iter().take_while(|entry| !young(entry)).collect();
        let (truncations, whole) = self.truncations(&limits, &page)?;
        // Everything is read: from here on nothing fails.
        let events = old_events(&limits, &page);
        let found = !letters.is_empty() || !events.is_empty() || !truncations.is_empty();
        let dropped = &mut self.state.sweep.dropped;
        dropped.letters += letters.len();
        dropped.events += events.len();
        dropped.entries += truncations.iter().map(|truncation| truncation.rows.len()).sum::<usize>();
        self.state.draft.dead_letters_removed.extend(letters);
        self.state.draft.events_forgotten.extend(events);
        self.state.draft.truncations.extend(truncations);
        if whole {
            let seen = page.last().map_or(self.state.sweep.after, |last| last.row);
            self.state.sweep.after = young_epoch.map_or(seen, Numbers::last);
        }
        if whole && is_last && !letters_left {
            return self.sweep_over();
        }
        self.state.sweep.next_look = if found { elapsed } else { elapsed + LOOK_INTERVAL };
        if found {
            self.state.sweep.waits_for = self.state.last_batch + 1;
        }
        Ok(())
    }

    fn sweep_over(&mut self) -> Result<(), EngineError> {
        let sweep = &mut self.state.sweep;
        let Dropped { entries, events, letters } = std::mem::take(&mut sweep.dropped);
        let told = format!("forgot {entries} entries, the bytes of {events} events and {letters} dead letters");
        if entries + events + letters > 0 {
            tracing::info!("retention: {told}");
        }
        self.state.draft.answers.extend(sweep.asked.drain(..).map(|command| (command, told.clone())));
        sweep.after = 0;
        sweep.next_look = sweep.next_look.max(self.clock.elapsed().saturating_add(SWEEP_INTERVAL));
        Ok(())
    }

    /// Dead letters that are old, and whether more are left.
    fn old_letters(&self, limits: &HashMap<i64, Limits>) -> Result<(Vec<i64>, bool), EngineError> {
        let (mut old, mut left) = (Vec::new(), false);
        if !self.share.has_own() {
            return Ok((old, left));
        }
        for plan in &*self.shared.plans {
            let Some(limits) = limits.get(&plan.id).filter(|limits| limits.letters > 0) else { continue };
            let letters = self.reader.dead_letters_before(plan.id, limits.letters, MOST_LETTERS)?;
            left |= letters.len() == MOST_LETTERS as usize;
            let known = &self.state.draft.dead_letters_removed;
            old.extend(letters.into_iter().filter(|id| !known.contains(id)));
        }
        Ok((old, left))
    }

    /// How far the chains of the page's entities may be truncated, and whether all of the page was looked at.
    fn truncations(&self, limits: &HashMap<i64, Limits>, page: &[Aged]) -> Result<(Vec<Truncation>, bool), EngineError> {
        let (mut truncations, mut seen) = (Vec::new(), HashSet::new());
        let mut budget = MOST_DROPPED;
        let concerned: BTreeSet<EntityId> =
            page.iter().filter(|entry| limits.contains_key(&entry.workflow)).map(|entry| entry.entity).collect();
        let protections = self.reader.protections(&concerned.into_iter().collect::<Vec<_>>())?;
        // The latest entry of each entity first: the chain begins with the latest that may be its first.
        for entry in page.iter().rev() {
            let Some(limits) = limits.get(&entry.workflow).filter(|_| !seen.contains(&entry.entity)) else { continue };
            let Some(entity) = protections.get(&entry.entity) else { continue };
            if !limits.may_begin_with(entry, entity) {
                continue;
            }
            seen.insert(entry.entity);
            let chain = self.reader.back_from(entry.row, MOST_TOGETHER)?;
            let Some(last) = chain.get(1).copied() else { continue };
            let rows: Vec<Row> = chain[1..].iter().map(|chained| chained.row).collect();
            // A later sweep begins with its first entries, and drops these piece by piece.
            if rows.len() == MOST_DROPPED && chain.last().is_some_and(|first| (1..first.row).contains(&first.previous_row)) {
                continue;
            }
            if rows.len() > budget {
                return Ok((truncations, false));
            }
            budget -= rows.len();
            let Chained { hash, sequence, .. } = last;
            truncations.push(Truncation { entity: entry.entity, first_row: entry.row, hash, sequence, rows });
        }
        Ok((truncations, true))
    }
}

fn old_events(limits: &HashMap<i64, Limits>, page: &[Aged]) -> Vec<Row> {
    let is_old = |entry: &&Aged| entry.has_event && limits.get(&entry.workflow).is_some_and(|limits| entry.now < limits.events);
    page.iter().filter(is_old).map(|entry| entry.row).collect()
}
