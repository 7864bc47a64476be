//! An order under decision: what it was, what it becomes, and what it asks for on the way.

use core::time::Duration;

use purefold_guest::{Context, Instant, Timer, TimerCancel, instant};

use crate::domain::{Body, Intent, Order, Phase, RecordOrder, State, Transition};

/// An order, and the moment that decides about it.
pub(crate) struct Deciding<'a> {
    pub(crate) context: &'a Context,
    pub(crate) phase: Phase,
    pub(crate) order: Order,
    updated_at: Instant,
    intents: Vec<Intent>,
}

impl<'a> Deciding<'a> {
    /// An order as it was left at `updated_at`.
    pub(crate) fn new(context: &'a Context, phase: Phase, order: Order, updated_at: Instant) -> Self {
        Deciding { context, phase, order, updated_at, intents: Vec::new() }
    }

    /// The order's id: the key of its entity.
    pub(crate) fn id(&self) -> String {
        self.context.entity.clone()
    }

    pub(crate) fn ask(&mut self, intent: Intent) {
        self.intents.push(intent);
    }

    /// Sets the timer `name`, `wait` from now.
    pub(crate) fn wait(&mut self, name: &str, wait: Duration) {
        self.ask(Intent::Timer(Timer { name: name.to_owned(), due: instant::after(self.context.now, wait) }));
    }

    pub(crate) fn stop_waiting(&mut self, name: &str) {
        self.ask(Intent::TimerCancel(TimerCancel { name: name.to_owned() }));
    }

    /// Enters `phase`, and asks for the row that shows it.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.ask(Intent::RecordOrder(RecordOrder {
            order_id: self.id(),
            customer: self.order.customer.clone(),
            phase,
            currency: self.order.currency,
            total: self.order.total,
            handling: self.order.handling,
            lines: self.order.lines.clone(),
            charge_id: self.order.charge.as_ref().map(|receipt| receipt.charge_id.clone()),
            cancelled_because: self.order.cancelled_because.clone(),
            placed_at: self.order.placed_at,
            updated_at: self.context.now,
        }));
    }

    /// The decision.
    pub(crate) fn done(self) -> Transition {
        let state = State { phase: self.phase, updated_at: self.context.now, body: Body::Order(self.order) };
        Transition { state: Some(state), intents: self.intents }
    }

    /// The decision that there is nothing to do. Only for an order that was not touched.
    pub(crate) fn unchanged(self) -> Transition {
        let state = State { phase: self.phase, updated_at: self.updated_at, body: Body::Order(self.order) };
        Transition { state: Some(state), intents: Vec::new() }
    }
}
