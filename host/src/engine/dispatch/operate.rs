//! What operators order: intents tried again or given up, effects paused.

use purefold_effects::{EffectError, Reply};

use super::lane::{LaneKey, Standing};
use super::{Answer, Dispatcher};
use crate::engine::input::{EntityName, Note};
use crate::engine::run::Message;
use crate::store::IntentKey;

impl Dispatcher {
    pub(super) fn redrive(&mut self, name: EntityName, intent: IntentKey) {
        let answer = match self.waiting_lane(&name, intent) {
            Err(answer) => answer,
            Ok(key) => {
                self.send(Message::Noted(name.clone(), intent, Note { held: false, attempts: 0, reason: String::new() }));
                let queue = &mut self.queues[key.0];
                let head = queue.lanes.get_mut(&key.1).and_then(|lane| lane.tasks.front_mut());
                if let Some(head) = head {
                    (head.attempts, head.spent, head.first) = (0, 0, None);
                    queue.stand(key.1, Standing::Ready);
                } else {
                    queue.stand(key.1, Standing::Loading);
                }
                Answer::Redriven
            }
        };
        self.send(Message::Answered(name, intent, answer));
    }

    pub(super) fn give_up(&mut self, name: EntityName, intent: IntentKey) {
        if self.take_out(&name, intent) {
            self.send(Message::Answered(name, intent, Answer::GivenUp));
        } else {
            self.leaving.insert(intent);
        }
    }

    /// Takes an intent out of its lane; false where an attempt at it is under way. One that is only in the store, and not
    /// held, is not read any more once the engine has concluded it.
    fn take_out(&mut self, name: &EntityName, intent: IntentKey) -> bool {
        let place = super::lane::place(intent);
        for index in 0..self.queues.len() {
            let queue = &mut self.queues[index];
            let Some(lane) = queue.lanes.get_mut(&intent.entity).filter(|_| queue.workflow == name.workflow) else { continue };
            let at = lane.tasks.iter().position(|waiting| waiting.task.key == intent);
            if at == Some(0) && lane.standing == Standing::Attempting {
                return false;
            }
            let is_held = lane.standing == Standing::Held(intent);
            if is_held {
                lane.doubtful = None;
                queue.forget_stored();
            } else if at.is_none() {
                continue;
            }
            let key = (index, intent.entity);
            if at == Some(0) {
                self.rest(key);
            }
            if let Some(gone) = self.queues[index].strike(intent.entity, place) {
                self.await_no_more_of(key, intent, &gone.task.waits);
            }
            if is_held || at == Some(0) {
                self.look(key);
            }
            break;
        }
        self.let_go(intent, false);
        true
    }

    /// Has a lane neither start nor wait for anything, until it is looked at.
    fn rest(&mut self, key: LaneKey) {
        self.delays += 1;
        self.queues[key.0].stand(key.1, Standing::Delayed(self.delays));
    }

    /// Has the head of a lane leave that was given up during the attempt that has ended now. Where the attempt did it, the
    /// conclusion stands. Gives whether it was given up.
    pub(super) fn leave(&mut self, key: LaneKey, result: &Result<Reply, EffectError>) -> bool {
        if self.leaving.is_empty() {
            return false;
        }
        let Some(head) = self.queues[key.0].lanes.get(&key.1).and_then(|lane| lane.tasks.front()) else { return false };
        let (name, intent) = (head.task.name.clone(), head.task.key);
        if !self.leaving.remove(&intent) {
            return false;
        }
        if let Ok(reply) = result {
            self.conclude(key, Ok(reply.clone()));
            // The engine hears of it before it hears that there is nothing to give up.
            self.tell_conclusions();
            self.send(Message::Answered(name, intent, Answer::Done));
        } else {
            self.rest(key);
            self.give_up(name, intent);
        }
        true
    }

    /// The lane at whose head the intent waits for an operator or for its next attempt, or why there is none.
    fn waiting_lane(&self, name: &EntityName, intent: IntentKey) -> Result<LaneKey, Answer> {
        for (index, queue) in self.queues.iter().enumerate().filter(|(_, queue)| queue.workflow == name.workflow) {
            let Some(lane) = queue.lanes.get(&intent.entity) else { continue };
            let heads = lane.tasks.front().is_some_and(|head| head.task.key == intent);
            match lane.standing {
                Standing::Held(held) if held == intent => return Ok((index, intent.entity)),
                Standing::Attempting if heads => return Err(Answer::Busy),
                // Also one that was never tried: the breaker or a pause may keep it from that for long.
                Standing::Ready | Standing::Delayed(_) if heads => return Ok((index, intent.entity)),
                _ => {}
            }
        }
        Err(Answer::NotWaiting)
    }

    /// Pauses or resumes an effect, or with none named all of the workflow.
    pub(super) fn pause(&mut self, workflow: usize, effect: Option<&str>, paused: bool) {
        for queue in self.queues.iter_mut().filter(|queue| queue.workflow == workflow) {
            if effect.is_none_or(|effect| *queue.effect == *effect) {
                queue.pause(effect.is_none(), paused);
            }
        }
    }
}
