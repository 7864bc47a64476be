//! Attempts: started, ended, and what follows from how they ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use purefold_effects::{Call, EffectError, Operation, Reply};
use tokio::time::Instant;

use super::breaker::{BreakerState, Change, Sign};
use super::lane::{LaneKey, Standing};
use super::outage::{MOST_SILENCE, News};
use super::retry::{self, Verdict, shortened};
use super::{Asked, Began, Dispatcher, Ended, spans};
use crate::engine::input::{FailureKind, Note};
use crate::engine::run::Message;
use crate::journal::intent_id;
use crate::workflow::OnExhausted;

/// For how long an open breaker keeps even probes back because the backend asked for it. One that asks for an hour may be
/// there again in a minute.
const MOST_ASKED_COOLDOWN: Duration = Duration::from_secs(60);

impl Dispatcher {
    /// Starts the lanes of a queue whose turn it is, as far as there is a place. Gives whether there was any.
    pub(super) fn start_ready(&mut self, queue: usize) -> bool {
        let mut any = false;
        while !self.draining {
            let Some(entity) = self.queues[queue].next_ready() else { break };
            any = true;
            self.start((queue, entity));
        }
        any
    }

    fn start(&mut self, key: LaneKey) {
        let queue = &mut self.queues[key.0];
        let now = queue.now();
        let Some(waiting) = queue.lanes.get_mut(&key.1).and_then(|lane| lane.tasks.front_mut()) else { return };
        let plan = self.plans[waiting.task.name.workflow].clone();
        let terms = waiting.task.intent.terms.clone();
        let Some(route) = terms.route(waiting.task.intent.case) else { return };
        let first = *waiting.first.get_or_insert(now);
        let left = route.retry.deadline.saturating_sub(now.saturating_sub(first));
        if left.is_zero() {
            let late = "the deadline passed before another attempt had its turn";
            let text = waiting.reason.as_ref().map_or_else(|| late.to_owned(), |reason| format!("{reason}; {late}"));
            let over = retry::exhausted(&text, waiting.attempts, waiting.maybe_done);
            return self.follow(key, over);
        }
        waiting.attempts += 1;
        waiting.spent += 1;
        let intent = &waiting.task.intent;
        let entity = waiting.task.name.key.clone();
        let mut call = Call {
            id: intent_id(plan.journal, &plan.workflow.name, &entity, intent.sequence, intent.index),
            journal: self.journal.clone(),
            workflow: plan.workflow.name.clone(),
            entity,
            sequence: intent.sequence,
            index: intent.index,
            now: intent.asked,
            correlation_id: intent.correlation_id.clone(),
            payload: waiting.task.payload.clone(),
            trace: None,
        };
        let span = spans::begin(&plan, waiting.task.trace, &route.effect, waiting.attempts, &mut call);
        queue.status.began(waiting.attempts > 1);
        let began = Began { at: Instant::now(), probe: queue.breaker.starts() };
        if queue.under_way == 0 {
            queue.outage.asks(began.at);
        }
        queue.under_way += 1;
        let watch = queue.outage.watch().then(|| (key.0, began.at + MOST_SILENCE));
        let attempt = attempt(route.operation.clone(), call, route.retry.timeout.min(left));
        let asked = Asked { terms: terms.clone(), span };
        self.under_way.push(Box::pin(async move { Ended::Attempt(key, attempt.await, began, asked) }));
        if let Some((queue, at)) = watch {
            self.watch(queue, at);
        }
    }

    /// Looks at that time whether anything was answered.
    fn watch(&mut self, queue: usize, at: Instant) {
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep_until(at).await;
            Ended::Silence(queue)
        }));
    }

    pub(super) fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Attempt(key, result, began, Asked { terms, span }) => {
                let queue = &mut self.queues[key.0];
                queue.under_way -= 1;
                let plan = &self.plans[queue.workflow];
                // Whatever an effect tells, what the environment put into the manifest is not told on.
                let mut result = result.map_err(|error| error.map_text(|text| terms.hide(&text)));
                if let Ok(Some(reply)) = &mut result {
                    terms.hide_in_reply(reply);
                }
                if let Some(span) = span {
                    spans::end(plan, span, &result);
                }
                self.heed(key.0, began, result.as_ref().err());
                if !self.leave(key, &result) {
                    self.attempted(key, result);
                }
            }
            Ended::Delay(key, delay) => {
                let queue = &mut self.queues[key.0];
                if queue.lanes.get(&key.1).is_some_and(|lane| lane.standing == Standing::Delayed(delay)) {
                    queue.stand(key.1, Standing::Ready);
                }
            }
            Ended::Cooldown(queue, cooldown) => {
                self.queues[queue].breaker.cooled(cooldown);
                self.queues[queue].set_clock();
            }
            Ended::Look(queue) => self.queues[queue].look(),
            Ended::Silence(queue) => {
                let is_asked = self.queues[queue].under_way > 0;
                self.queues[queue].touch();
                if let Some(again) = self.queues[queue].outage.is_silent(is_asked) {
                    self.watch(queue, again);
                }
            }
            Ended::Lease => self.waits_for_lease = false,
            Ended::Stop => self.stop_over = true,
        }
    }

    /// Lets the breaker know how an attempt ended, and whoever watches where that is news.
    fn heed(&mut self, index: usize, began: Began, error: Option<&EffectError>) {
        let queue = &mut self.queues[index];
        let sign = match error {
            Some(EffectError::NotDone { .. } | EffectError::Unknown(_)) => Sign::Failed,
            None | Some(EffectError::Refused(_) | EffectError::UnreadableReply(_)) => Sign::Answered,
        };
        if let Some(error) = error {
            queue.status.failed(shortened(&error.to_string()));
        }
        let mut change = queue.breaker.ended(began.probe, sign);
        let news = queue.outage.ended(began.at, sign, queue.breaker.state() != BreakerState::Closed);
        if news == Some(News::Down) {
            // Where little is asked, many failures take long to come together.
            change = change.or(queue.breaker.open());
        }
        queue.set_clock();
        let workflow = &self.plans[queue.workflow].workflow.name;
        match news {
            Some(News::Down) => tracing::warn!(
                %workflow, effect = %queue.effect, error = %error.map(|error| shortened(&error.to_string())).unwrap_or_default(),
                "the effect does not work; its intents wait and are tried again"
            ),
            Some(News::Works) => tracing::warn!(%workflow, effect = %queue.effect, "the effect works again"),
            None => {}
        }
        match change {
            Some(Change::Opened) => tracing::info!(
                %workflow, effect = %queue.effect, failures = queue.breaker.failures(),
                "breaker opened: apart from probes no attempts start until one is answered"
            ),
            Some(Change::Closed) => tracing::info!(%workflow, effect = %queue.effect, "breaker closed"),
            Some(Change::StaysOpen) | None => {}
        }
        if matches!(change, Some(Change::Opened | Change::StaysOpen)) {
            let asked = error.and_then(EffectError::retry_after).unwrap_or_default().min(MOST_ASKED_COOLDOWN);
            let (cooldown, time) = (queue.breaker.cooldown(), queue.breaker.settings().cooldown.max(asked));
            self.under_way.push(Box::pin(async move {
                tokio::time::sleep(time).await;
                Ended::Cooldown(index, cooldown)
            }));
        }
    }

    fn attempted(&mut self, key: LaneKey, result: Result<Reply, EffectError>) {
        let error = match result {
            Ok(reply) => return self.conclude(key, Ok(reply)),
            Err(error) => error,
        };
        let queue = &mut self.queues[key.0];
        let (now, is_down) = (queue.now(), queue.outage.is_down());
        let Some(waiting) = queue.lanes.get_mut(&key.1).and_then(|lane| lane.tasks.front_mut()) else { return };
        let plan = self.plans[waiting.task.name.workflow].clone();
        let terms = waiting.task.intent.terms.clone();
        let Some(route) = terms.route(waiting.task.intent.case) else { return };
        tracing::debug!(
            workflow = %plan.workflow.name, effect = %route.effect, entity = %waiting.task.name.key, sequence = waiting.task.key.sequence,
            index = waiting.task.key.index, event_id = %waiting.task.intent.event_id, correlation_id = %waiting.task.intent.correlation_id, attempt = waiting.attempts, %error,
            "attempt failed"
        );
        let elapsed = now.saturating_sub(waiting.first.unwrap_or(now));
        waiting.maybe_done |= matches!(error, EffectError::Unknown(_));
        let costs_nothing = match error {
            EffectError::NotDone { .. } => true,
            EffectError::Unknown(_) => route.operation.bears_repeats(),
            EffectError::Refused(_) | EffectError::UnreadableReply(_) => false,
        };
        let pays = !(is_down && costs_nothing);
        waiting.spent -= u32::from(!pays);
        let account = retry::Account { attempts: waiting.spent, elapsed, maybe_done: waiting.maybe_done, pays_for_waits: pays };
        match retry::after_failure(&route.retry, account, &error, (self.random)()) {
            Verdict::Again(delay) => {
                let note = Note { held: false, attempts: waiting.attempts, reason: shortened(&error.to_string()) };
                waiting.reason = Some(note.reason.as_str().into());
                let (name, intent) = (waiting.task.name.clone(), waiting.task.key);
                self.send(Message::Noted(name, intent, note));
                self.delay(key, delay);
            }
            over @ Verdict::Over(..) => self.follow(key, over),
        }
    }

    fn delay(&mut self, key: LaneKey, delay: Duration) {
        self.delays += 1;
        let number = self.delays;
        self.queues[key.0].stand(key.1, Standing::Delayed(number));
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ended::Delay(key, number)
        }));
    }

    /// There is no further attempt at the head of a lane: it is concluded, or held.
    fn follow(&mut self, key: LaneKey, verdict: Verdict) {
        let Verdict::Over(kind, text) = verdict else { return };
        let queue = &mut self.queues[key.0];
        let Some(lane) = queue.lanes.get_mut(&key.1) else { return };
        let Some(waiting) = lane.tasks.front() else { return };
        let plan = self.plans[waiting.task.name.workflow].clone();
        let terms = waiting.task.intent.terms.clone();
        let Some(route) = terms.route(waiting.task.intent.case) else { return };
        if route.on_exhausted == OnExhausted::Outcome {
            return self.conclude(key, Err((kind, shortened(&text))));
        }
        // Nothing passes a held intent: the lane waits in the store with it.
        let note = Note { held: true, attempts: waiting.attempts, reason: shortened(&format!("{}: {text}", kind.name())) };
        let (name, intent) = (waiting.task.name.clone(), waiting.task.key);
        tracing::warn!(
            workflow = %plan.workflow.name, effect = %route.effect, entity = %name.key, sequence = intent.sequence, index = intent.index,
            event_id = %waiting.task.intent.event_id, correlation_id = %waiting.task.intent.correlation_id, attempt = waiting.attempts,
            reason = note.reason, "intent held"
        );
        if waiting.maybe_done || kind == FailureKind::Unknown {
            lane.doubtful = Some(intent);
        }
        self.put_back(key);
        self.queues[key.0].stand(key.1, Standing::Held(intent));
        self.send(Message::Noted(name, intent, note));
    }
}

/// One attempt, cut off after `timeout`. Nothing is known of one that is cut off, nor of one that breaks off by a panic.
async fn attempt(operation: Arc<dyn Operation>, call: Call, timeout: Duration) -> Result<Reply, EffectError> {
    let performed = AssertUnwindSafe(async move { operation.perform(call).await }).catch_unwind();
    match tokio::time::timeout(timeout, performed).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(EffectError::Unknown("the effect broke off: a panic, which the log tells of".into())),
        Err(_) => Err(EffectError::Unknown(format!("no answer within {timeout:?}"))),
    }
}
