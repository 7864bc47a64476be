//! What the tests begin with: an order of two lines, in every phase, and what can happen to it.

use purefold_guest::{Context, Failure, Instant, Timer};

use crate::decide;
use crate::domain::{
    Answer, Answered, Arrived, Body, Booked, ChargeReceipt, Charged, Currency, Handling, Input, Intent, Line, Order, OrderLine, Phase,
    Place, Placed, Rejection, Reservation, Settlement, State, Transition, Withdrawn,
};

pub(crate) const SECOND: u64 = 1_000_000;
/// 2026-02-13T12:00:00Z
pub(crate) const NOW: Instant = 1_770_984_000 * SECOND;

const PLACE: Place = Place { shelf: ('B', 12), unit_weight_kg: 0.5 };
const LIGHT_PLACE: Place = Place { shelf: ('Ω', 1), unit_weight_kg: 0.25 };

pub(crate) fn order_placed() -> Placed {
    Placed {
        id: "order-1".to_owned(),
        customer: "Ada".to_owned(),
        lines: vec![
            Line { stock_id: "tea".to_owned(), quantity: 2, unit_price: 499 },
            Line { stock_id: "cup".to_owned(), quantity: 1, unit_price: 1_000 },
        ],
        currency: Currency::Eur,
        discount: None,
        handling: Handling::FRAGILE | Handling::EXPRESS,
        payment_method: "pm-1".to_owned(),
        placed_at: NOW - SECOND,
    }
}

pub(crate) fn placed() -> Input {
    Input::Placed(order_placed())
}

pub(crate) fn withdrawn(reason: &str) -> Input {
    Input::Withdrawn(Withdrawn { id: "order-1".to_owned(), reason: reason.to_owned() })
}

pub(crate) fn arrived(quantity: u32) -> Input {
    Input::Arrived(Arrived { id: "tea".to_owned(), quantity, shelf: PLACE.shelf, unit_weight_kg: PLACE.unit_weight_kg })
}

pub(crate) fn held(stock_id: &str) -> Input {
    answered(stock_id, Answer::Held(PLACE))
}

pub(crate) fn short(stock_id: &str, available: u32) -> Input {
    answered(stock_id, Answer::Short(available))
}

fn answered(stock_id: &str, answer: Answer) -> Input {
    Input::Answered(Answered { order_id: "order-1".to_owned(), stock_id: stock_id.to_owned(), answer })
}

pub(crate) fn charged(result: Result<ChargeReceipt, Failure>) -> Input {
    Input::Charged(Charged { intent_id: (1, 2), amount: 1_998, result })
}

pub(crate) fn charged_amount(amount: u64) -> Input {
    charged(Ok(receipt(amount)))
}

fn receipt(amount: u64) -> ChargeReceipt {
    ChargeReceipt { charge_id: "ch-1".to_owned(), amount, fee_rate: Some(0.015) }
}

pub(crate) fn booked(result: Result<(), Failure>) -> Input {
    Input::Booked(Booked { intent_id: (1, 2), result })
}

pub(crate) fn timer(name: &str) -> Input {
    Input::Timer(Timer { name: name.to_owned(), due: NOW })
}

/// The order in `phase`, all lines held; charged from the shipment on.
pub(crate) fn order_in(phase: Phase) -> State {
    let placed = order_placed();
    let line =
        |stock_id: &str, quantity, place| OrderLine { stock_id: stock_id.to_owned(), quantity, reservation: Reservation::Held(place) };
    let order = Order {
        customer: placed.customer,
        lines: vec![line("tea", 2, PLACE), line("cup", 1, LIGHT_PLACE)],
        currency: placed.currency,
        total: 1_998,
        handling: placed.handling,
        payment_method: placed.payment_method,
        placed_at: placed.placed_at,
        charge: matches!(phase, Phase::Shipping | Phase::Shipped).then(|| receipt(1_998)),
        cancelled_because: None,
    };
    State { phase, updated_at: NOW - SECOND, body: Body::Order(order) }
}

/// Decides at [`NOW`].
pub(crate) fn decide_now(state: Option<State>, input: Input) -> Result<Transition, Rejection> {
    let context = Context {
        now: NOW,
        entity: "order-1".to_owned(),
        sequence: 3,
        event_id: "evt-1".to_owned(),
        correlation_id: "corr-1".to_owned(),
        seed: (1, 2),
    };
    decide(&context, state, input)
}

/// Decides at [`NOW`] what must be accepted and leaves a state.
pub(crate) fn accepted(state: Option<State>, input: Input) -> (State, Vec<Intent>) {
    let transition = decide_now(state, input).unwrap();
    (transition.state.unwrap(), transition.intents)
}

/// The intents in a few words each.
pub(crate) fn names(intents: &[Intent]) -> Vec<String> {
    let phase = |phase| match phase {
        Phase::Reserving => "reserving",
        Phase::Charging => "charging",
        Phase::Shipping => "shipping",
        Phase::Shipped => "shipped",
        Phase::Cancelled => "cancelled",
        Phase::Stocked => "stocked",
    };
    intents
        .iter()
        .map(|intent| match intent {
            Intent::RecordOrder(row) => format!("record-order {}", phase(row.phase)),
            Intent::Charge(charge) => format!("charge {}", charge.amount),
            Intent::Refund(refund) => {
                format!("refund {} of {}", refund.amount, refund.charge_id.as_deref().unwrap_or("whatever was charged"))
            }
            Intent::BookShipment(shipment) => format!("book-shipment {} kg", shipment.weight_kg),
            Intent::OrderShipped(_) => "order-shipped".to_owned(),
            Intent::OrderCancelled(event) => format!("order-cancelled {}", event.reason),
            Intent::SetLevel(level) => format!("set-level {}", level.available),
            Intent::Reserve(reserve) => format!("reserve {} {}", reserve.stock_id, reserve.quantity),
            Intent::Settle(settle) => {
                let how = match settle.settlement {
                    Settlement::Taken => "taken",
                    Settlement::Released => "released",
                };
                format!("settle {} {how}", settle.stock_id)
            }
            Intent::Answered(answered) => match answered.answer {
                Answer::Held(_) => format!("answered {} held", answered.order_id),
                Answer::Short(available) => format!("answered {} short {available}", answered.order_id),
            },
            Intent::Timer(timer) => format!("timer {}", timer.name),
            Intent::TimerCancel(timer) => format!("timer-cancel {}", timer.name),
        })
        .collect()
}
