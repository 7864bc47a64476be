//! Which input goes where.

use purefold_guest::Context;

use crate::domain::{Body, Input, Phase, Rejection, State, Transition};
use crate::order::Deciding;
use crate::{archive, cancelling, payment, placing, reserving, shipping, stock};

/// Decides one input of one order, or of the stock of one article.
///
/// # Errors
/// The reason why the input has no effect.
pub fn decide(context: &Context, state: Option<State>, input: Input) -> Result<Transition, Rejection> {
    match input {
        Input::Placed(event) => match state {
            None => placing::place(context, event),
            Some(State { body: Body::Order(_), .. }) => Err(Rejection::AlreadyPlaced),
            Some(State { body: Body::Stock(_), .. }) => Err(Rejection::NotAnOrder),
        },
        Input::Arrived(event) => Ok(stock::arrive(context, stock_of(state)?, &event)),
        Input::Reserve(request) => stock::reserve(context, stock_of(state)?, request),
        Input::Settle(settle) => stock::settle(context, stock_of(state)?, &settle),
        Input::Withdrawn(event) => order_of(context, state).and_then(|order| cancelling::withdraw(order, &event.reason)),
        Input::Answered(answered) => order_of(context, state).and_then(|order| reserving::answered(order, answered)),
        Input::Charged(outcome) => order_of(context, state).and_then(|order| payment::charged(order, outcome)),
        Input::Booked(outcome) => order_of(context, state).and_then(|order| shipping::booked(order, outcome.result)),
        Input::Timer(timer) => Ok(timer_due(order_of(context, state)?, &timer.name)),
    }
}

fn order_of(context: &Context, state: Option<State>) -> Result<Deciding<'_>, Rejection> {
    match state.ok_or(Rejection::Unknown)? {
        State { phase, updated_at, body: Body::Order(order) } => Ok(Deciding::new(context, phase, order, updated_at)),
        State { body: Body::Stock(_), .. } => Err(Rejection::NotAnOrder),
    }
}

/// Stock begins when it is first heard of, even if that is an order's wish.
fn stock_of(state: Option<State>) -> Result<crate::domain::Stock, Rejection> {
    match state.map(|state| state.body) {
        None => Ok(stock::NOTHING),
        Some(Body::Stock(stock)) => Ok(stock),
        Some(Body::Order(_)) => Err(Rejection::NotStock),
    }
}

/// A timer that comes when what it waited for is over changes nothing.
fn timer_due(order: Deciding<'_>, name: &str) -> Transition {
    match (name, order.phase) {
        (reserving::TIMER, Phase::Reserving) => cancelling::cancel(order, "the stock did not answer in time".to_owned()),
        (payment::TIMER, Phase::Charging) => cancelling::cancel(order, "the payment did not come in time".to_owned()),
        (archive::TIMER, Phase::Shipped | Phase::Cancelled) => archive::end(),
        _ => order.unchanged(),
    }
}
