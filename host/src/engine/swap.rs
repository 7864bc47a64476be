//! Releases that come into force while the engine runs: between two steps, so that each decision, and each commit, is of one.
//!
//! The host that has the workflow's own entity journals a release and writes it down, with the first of its own commits
//! under it. Others find it in the store and take it up as soon as they have it ready. Nobody waits for anybody: entities
//! of one host may be decided under the younger release while those of another are under the older one, each entity by
//! one host, and never by an older release after a younger.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::input::{EntityName, EventInput, Pending};
use super::operators::COMMAND_INTERVAL;
use super::own::OwnEntry;
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::ready::{Deployment, Job, Readied, Ready, Wanted};
use super::workers::Shared;
use super::{Engine, EngineError, dispatch};
use crate::journal::Kind;
use crate::source::Undecodable;
use crate::store::{Batch, CommandRow, TakenUp};

/// How long a release that could not be made ready is left alone before it is tried again.
const AGAIN_INTERVAL: Duration = Duration::from_secs(5);

/// What a deployment is about: digests of what the store has.
#[derive(Deserialize)]
struct DeploySubject {
    component: String,
    manifest: String,
    /// The generation that was in force when it was judged; none where nothing was.
    #[serde(default)]
    base: Option<u64>,
}

/// What the engine remembers of releases that are not in force here yet.
#[derive(Default)]
pub(super) struct Releases {
    next_look: Duration,
    /// Workflows whose next release is being made ready.
    readying: Vec<usize>,
}

impl Releases {
    /// Whether something is being made ready.
    pub(super) fn is_readying(&self) -> bool {
        !self.readying.is_empty()
    }
}

impl Engine {
    /// Looks whether other hosts have brought a release into force.
    pub(super) fn look_for_releases(&mut self) -> Result<(), EngineError> {
        let now = self.clock.elapsed();
        if !self.share.is_shared() || now < self.state.releases.next_look {
            return Ok(());
        }
        let plans = self.shared.plans.clone();
        for (workflow, plan) in plans.iter().enumerate() {
            if self.state.releases.readying.contains(&workflow) {
                continue;
            }
            let youngest = self.reader.youngest_release(plan.id)?;
            if youngest > plan.release {
                self.begin(workflow, Wanted::InForce(youngest))?;
            }
        }
        self.state.releases.next_look = now + COMMAND_INTERVAL;
        Ok(())
    }

    /// Begins what an operator asks for. Gives the answer, where there is one at once.
    pub(super) fn deploy(&mut self, workflow: usize, command: &CommandRow) -> Result<Option<String>, EngineError> {
        let subject = match serde_json::from_str::<DeploySubject>(&command.subject) {
            Ok(subject) => subject,
            Err(error) => return Ok(Some(format!("refused: {:?} names no component and manifest: {error}", command.subject))),
        };
        if self.state.releases.readying.contains(&workflow) {
            return Ok(Some("refused: another release is being made ready; ask again when it is in force".into()));
        }
        let DeploySubject { component, manifest, base } = subject;
        let deployment = Deployment { command: command.id, warrant: command.warrant.clone(), component, manifest, base };
        self.begin(workflow, Wanted::New(deployment))?;
        Ok(None)
    }

    fn begin(&mut self, workflow: usize, wanted: Wanted) -> Result<(), EngineError> {
        self.state.releases.readying.push(workflow);
        self.readying.begin(Job { workflow, plans: self.shared.plans.clone(), wanted })
    }

    /// A release is ready, or cannot be made so.
    pub(super) fn readied(&mut self, readied: Readied) -> Result<(), EngineError> {
        let Readied { workflow, wanted, result } = readied;
        self.state.releases.readying.retain(|readying| *readying != workflow);
        let Ready { plan, is_new } = match result {
            Ok(ready) => ready,
            Err(error) => {
                self.state.releases.next_look = self.clock.elapsed() + AGAIN_INTERVAL;
                match wanted {
                    Wanted::New(deployment) => self.state.draft.answers.push((deployment.command, format!("refused: {error}"))),
                    Wanted::InForce(generation) => {
                        let name = &self.shared.plans[workflow].workflow.name;
                        tracing::error!(workflow = %name, release = generation, %error, "the release in force cannot be taken up; it is tried again");
                    }
                }
                return Ok(());
            }
        };
        // Others may have been first, or the engine is another one's successor by now.
        let in_force = self.shared.plans[workflow].release;
        if plan.release <= in_force {
            return match wanted {
                Wanted::InForce(_) => Ok(()),
                Wanted::New(deployment) => match deployment.overtaken_by(in_force) {
                    None => self.begin(workflow, Wanted::New(deployment)),
                    Some(finding) => {
                        self.state.draft.answers.push((deployment.command, format!("refused: {finding}")));
                        Ok(())
                    }
                },
            };
        }
        let plan = Arc::new(plan);
        let mut draft = std::mem::take(&mut self.state.draft);
        let written = match wanted {
            Wanted::New(deployment) if is_new => self.write_release(workflow, &plan, &deployment, &mut draft),
            _ => Ok(()),
        };
        self.state.draft = draft;
        written?;
        self.take_up(workflow, plan);
        Ok(())
    }

    /// Writes a new release down, with the next commit.
    fn write_release(&mut self, workflow: usize, plan: &Plan, deployment: &Deployment, draft: &mut Batch) -> Result<(), EngineError> {
        let new = plan.released_as(plan.release);
        let about = new.release.about();
        let own = OwnEntry { kind: Kind::Released, event_id: "", about: &about, warrant: &deployment.warrant };
        self.note_own_under(plan, workflow, &own, draft)?;
        draft.answers.push((deployment.command, format!("released: generation {}", plan.release)));
        draft.releases.push(new);
        Ok(())
    }

    /// Goes on under another release, from the next step on.
    fn take_up(&mut self, workflow: usize, plan: Arc<Plan>) {
        let name = &plan.workflow.name;
        tracing::info!(workflow = %name, release = plan.release, component = %plan.workflow.component_digest, "release in force");
        self.plans.put(workflow, plan.clone());
        let mut plans = Vec::clone(&self.shared.plans);
        plans[workflow] = plan.clone();
        self.shared = Arc::new(Shared { plans: Arc::new(plans), ids: self.shared.ids.clone() });
        self.course.follow(&self.shared.plans);
        let known = self.observed.effects();
        let new: Vec<_> = plan.effects.iter().filter(|effect| !known.iter().any(|known| Arc::ptr_eq(known, effect))).cloned().collect();
        if !new.is_empty() {
            self.observed.has_effects(known.iter().cloned().chain(new).collect());
        }
        let taken = TakenUp { workflow: plan.id, generation: plan.release, begins: false };
        self.state.draft.in_force.push(taken);
        self.state.others.look_again();
        if self.course.perform {
            // Before any of its intents: those follow their commit.
            drop(self.orders.send(dispatch::Order::Release { workflow, plan }));
        }
    }

    /// Reads the events anew that were read under a release which reads them otherwise.
    pub(super) fn read_anew(&mut self, name: &EntityName, pending: &mut Pending) {
        let since = self.shared.plans[name.workflow].reads_since;
        if pending.events.iter().all(|event| event.release >= since) || planted(Mistake::ReadBefore) {
            return;
        }
        let mut draft = std::mem::take(&mut self.state.draft);
        for event in std::mem::take(&mut pending.events) {
            if event.release >= since {
                pending.events.push_back(event);
                continue;
            }
            let read = self.decoder.decode_from(event.topic.as_deref(), &event.bytes, event.origin, event.time);
            let wrong =
                |code, path: &str, reason: String| Undecodable { event_id: Some(event.id.to_string()), code, path: path.into(), reason };
            match read.into_iter().find(|(taker, _)| *taker == name.workflow) {
                Some((_, Ok((key, read)))) if key == name.key => pending.events.push_back(EventInput { incoming: event.incoming, ..read }),
                Some((_, Err(undecodable))) => self.bury_event(name, event, undecodable, &mut draft),
                // A release is refused that would name entities otherwise, once there are any.
                Some((_, Ok((key, _)))) => {
                    let wrong =
                        wrong("key-invalid", "data", format!("it names {key:?} under the release in force; have it decided as that"));
                    self.bury_event(name, event, wrong, &mut draft);
                }
                None => {
                    let wrong = wrong("type-unroutable", "type", "the release in force takes no events of that type".into());
                    self.bury_event(name, event, wrong, &mut draft);
                }
            }
        }
        self.state.draft = draft;
    }
}
