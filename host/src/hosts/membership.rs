//! A host's membership: it says that it is alive, and gives each of its engines an epoch and shards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::wanted::{Wish, must_change, wanted};
use crate::engine::{EngineError, Lease, Share};
use crate::store::{ShardSet, StoreError, Writer};
use crate::time::HostClock;

/// How long a host is believed alive after it last said so, by the clock of the store.
pub const LEASE: Duration = Duration::from_secs(10);

/// How much earlier it stops believing so itself, and starts no more attempts.
const CAUTION: Duration = Duration::from_secs(2);

/// How often it says so.
const RENEWAL: Duration = Duration::from_secs(2);

/// How long an engine that begins waits for shards that others are about to release.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks for them.
const CLAIM_INTERVAL: Duration = Duration::from_millis(200);

/// So many renewals in a row must find that an engine should have other shards: hosts that start together are waited for.
const VERDICTS: u32 = 2;

/// What an engine is told of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It should make way for one with another set.
    Other,
    /// It has lost them.
    Lost(String),
}

/// The engine that runs.
struct Current {
    share: Share,
    tell: Box<dyn Fn(Change) + Send>,
    told: bool,
}

struct State {
    leases: Writer,
    wish: Wish,
    current: Option<Current>,
    verdicts: u32,
    /// Whether it was told that the store cannot be reached.
    fails: bool,
}

struct Member {
    name: String,
    /// What all hosts of the store run.
    workflows: String,
    clock: Arc<dyn HostClock>,
    state: Mutex<State>,
}

/// A host among those that share a store, for as long as it lives. What it owns is free when it is dropped.
pub struct Membership {
    member: Arc<Member>,
    end: Sender<()>,
    // Ended by the channel's end.
    thread: Option<JoinHandle<()>>,
}

impl Membership {
    /// Joins as `name`, which no other process has, to run `workflows`, which all of them run. `leases` is a connection of its
    /// own.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn join(leases: Writer, (name, workflows): (String, String), wish: Wish, clock: Arc<dyn HostClock>) -> Result<Self, EngineError> {
        let state = State { leases, wish, current: None, verdicts: 0, fails: false };
        let member = Arc::new(Member { name, workflows, clock, state: Mutex::new(state) });
        // Nothing is ever sent: its end is the thread's.
        let (end, ended) = bounded::<()>(0);
        let renews = member.clone();
        let thread = std::thread::Builder::new()
            .name("lease".into())
            .spawn(move || {
                while ended.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
                    renews.renew();
                }
            })
            .map_err(|cause| EngineError::Thread { cause })?;
        Ok(Membership { member, end, thread: Some(thread) })
    }

    /// From now on engines are given shards by this. The engine that runs is told where it should have others.
    pub fn wish(&self, wish: Wish) {
        self.member.state().wish = wish;
    }

    /// A new epoch, without any shards.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn epoch(&self) -> Result<Share, EngineError> {
        let Member { name, workflows, clock, .. } = &*self.member;
        let began = clock.elapsed();
        let mut state = self.member.state();
        let now = state.leases.now(&**clock)?;
        let epoch = state.leases.begin_epoch((name, workflows), now, until(now))?;
        let lease = Arc::new(Lease::new(clock.clone(), began + LEASE - CAUTION));
        Ok(Share { epoch, shards: ShardSet::of([]), lease: Some(lease) })
    }

    /// What the next engine owns: a new epoch, and the shards that it should have as far as they are free, or become so while
    /// it waits. `waits` says whether it is to wait on.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn share(&self, waits: impl Fn() -> bool) -> Result<Share, EngineError> {
        let Member { name, clock, .. } = &*self.member;
        let began = clock.elapsed();
        let Share { epoch, lease, .. } = self.epoch()?;
        loop {
            let mut state = self.member.state();
            let ownership = state.leases.ownership()?;
            let wanted = wanted(&state.wish, name, &ownership.hosts);
            let shards = state.leases.claim(epoch, &wanted)?;
            let whole = wanted.iter().all(|shard| shards.has(shard));
            let over = clock.elapsed() >= began + PATIENCE && state.wish != Wish::All;
            drop(state);
            if whole || over || !waits() {
                tracing::info!(host = %name, epoch, shards = shards.len(), of = wanted.len(), "owns shards");
                return Ok(Share { epoch, shards, lease });
            }
            std::thread::sleep(CLAIM_INTERVAL);
            self.member.renew_alone(lease.as_deref());
        }
    }

    /// The engine that owns `share` runs; `tell` is how it hears of changes.
    pub fn runs(&self, share: Share, tell: impl Fn(Change) + Send + 'static) {
        let mut state = self.member.state();
        state.verdicts = 0;
        state.current = Some(Current { share, tell: Box::new(tell), told: false });
    }

    /// The engine has ended: its shards are free.
    pub fn ended(&self, epoch: u64) {
        let mut state = self.member.state();
        state.current = None;
        if let Err(error) = state.leases.end_epoch(&self.member.name, epoch, false) {
            tracing::warn!(%error, "the shards could not be released; others take them when the lease is over");
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let (nobody, _) = bounded(0);
        self.end = nobody;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told by its hook.
            let _ = thread.join();
        }
        let mut state = self.member.state();
        let epoch = state.current.take().map_or(0, |current| current.share.epoch);
        if let Err(error) = state.leases.end_epoch(&self.member.name, epoch, true) {
            tracing::debug!(%error, "the host could not say that it leaves");
        }
    }
}

fn until(now: u64) -> u64 {
    now.saturating_add(u64::try_from(LEASE.as_micros()).unwrap_or(u64::MAX))
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the host is alive, and has the engine told what that shows.
    fn renew(&self) {
        let mut state = self.state();
        let began = self.clock.elapsed();
        match self.renewed(&mut state) {
            Ok(true) => {
                state.fails = false;
                if let Some(current) = &state.current
                    && let Some(lease) = &current.share.lease
                {
                    lease.renew(began + LEASE - CAUTION);
                }
                if let Err(error) = self.look(&mut state) {
                    tracing::debug!(%error, "who shares the store could not be read");
                }
            }
            Ok(false) => {
                if let Some(current) = &mut state.current
                    && !std::mem::replace(&mut current.told, true)
                {
                    let epoch = current.share.epoch;
                    tracing::info!(host = %self.name, epoch, "the lease was over before it was renewed: others have the shards");
                    (current.tell)(Change::Lost(format!("the lease of epoch {epoch} was over before it was renewed")));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.fails, true) {
                    // That the store is away is told by the engine, which needs it too.
                    tracing::info!(%error, "the lease cannot be renewed; no attempts start once it is over");
                }
            }
        }
    }

    fn renewed(&self, state: &mut State) -> Result<bool, StoreError> {
        let now = state.leases.now(&*self.clock)?;
        state.leases.renew(&self.name, now, until(now))
    }

    /// Renews a lease that no engine has yet.
    fn renew_alone(&self, lease: Option<&Lease>) {
        let began = self.clock.elapsed();
        if self.renewed(&mut self.state()).is_ok_and(|renewed| renewed)
            && let Some(lease) = lease
        {
            lease.renew(began + LEASE - CAUTION);
        }
    }

    /// Tells the engine where it should have other shards.
    fn look(&self, state: &mut State) -> Result<(), StoreError> {
        let ownership = state.leases.ownership()?;
        let wanted: ShardSet = wanted(&state.wish, &self.name, &ownership.hosts);
        let Some(current) = &mut state.current else { return Ok(()) };
        if !must_change(&current.share.shards, &wanted, &ownership) {
            state.verdicts = 0;
            return Ok(());
        }
        state.verdicts += 1;
        if state.verdicts >= VERDICTS && !std::mem::replace(&mut current.told, true) {
            tracing::info!(host = %self.name, hosts = ownership.hosts.len(), "the hosts have changed: another engine goes on with other shards");
            (current.tell)(Change::Other);
        }
        Ok(())
    }
}
