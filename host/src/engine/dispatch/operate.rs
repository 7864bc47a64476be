//! What operators order: intents tried again or given up, effects paused.

use super::lane::{LaneKey, Standing};
use super::retry::shortened;
use super::{Answer, Dispatcher};
use crate::engine::input::{EntityName, FailureKind, Note};
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
                    (head.attempts, head.first) = (0, None);
                    queue.stand(key.1, Standing::Ready);
                } else {
                    queue.stand(key.1, Standing::Loading);
                }
                Answer::Redriven
            }
        };
        self.send(Message::Answered(name, intent, answer));
    }

    pub(super) fn give_up(&mut self, name: EntityName, intent: IntentKey, reason: &str) {
        let answer = match self.waiting_lane(&name, intent) {
            Err(answer) => answer,
            Ok(key) => {
                let queue = &mut self.queues[key.0];
                if queue.take_head(key.1).is_none() {
                    queue.forget_stored();
                    if let Some(lane) = queue.lanes.get_mut(&key.1) {
                        lane.doubtful = None;
                    }
                }
                self.concluded(name.clone(), intent, Err((FailureKind::Exhausted, shortened(reason))));
                self.look(key);
                Answer::GivenUp
            }
        };
        self.send(Message::Answered(name, intent, answer));
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
