//! Shipping what is held and paid for.

use purefold_guest::Failure;

use crate::domain::{BookShipment, Intent, OrderShipped, Parcel, Phase, Rejection, Reservation, Settlement, Transition};
use crate::order::Deciding;
use crate::{archive, cancelling, reserving};

/// Asks for the shipment.
pub(crate) fn ship(mut order: Deciding<'_>) -> Transition {
    order.enter(Phase::Shipping);
    let parcels: Vec<Parcel> = order
        .order
        .lines
        .iter()
        .filter_map(|line| match line.reservation {
            Reservation::Held(place) => Some(Parcel { stock_id: line.stock_id.clone(), quantity: line.quantity, place }),
            Reservation::Asked | Reservation::Short(_) => None,
        })
        .collect();
    let weight_kg = parcels.iter().map(|parcel| f64::from(parcel.quantity) * f64::from(parcel.place.unit_weight_kg)).sum();
    order.ask(Intent::BookShipment(BookShipment {
        order_id: order.id(),
        customer: order.order.customer.clone(),
        handling: order.order.handling,
        weight_kg,
        parcels,
        booked_at: order.context.now,
    }));
    order.done()
}

/// The shipment is booked: the goods leave. Or it is not, and everything is taken back.
pub(crate) fn booked(mut order: Deciding<'_>, outcome: Result<(), Failure>) -> Result<Transition, Rejection> {
    match (order.phase, outcome) {
        (Phase::Shipping, Ok(())) => {
            order.enter(Phase::Shipped);
            reserving::settle_all(&mut order, Settlement::Taken);
            order.ask(Intent::OrderShipped(OrderShipped {
                order_id: order.id(),
                customer: order.order.customer.clone(),
                total: order.order.total,
                currency: order.order.currency,
                shipped_at: order.context.now,
            }));
            order.wait(archive::TIMER, archive::STAY);
            Ok(order.done())
        }
        (Phase::Shipping, Err(failure)) => {
            let (kind, text) = failure.parts();
            Ok(cancelling::cancel(order, ["the shipment failed, ", kind, ": ", text].concat()))
        }
        (phase, _) => Err(Rejection::UnexpectedOutcome(phase)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{accepted, booked, decide_now, names, order_in, timer};

    #[test]
    fn a_booked_shipment_takes_the_goods() {
        let (state, intents) = accepted(Some(order_in(Phase::Shipping)), booked(Ok(())));
        assert_eq!(state.phase, Phase::Shipped);
        assert_eq!(names(&intents), ["record-order shipped", "settle tea taken", "settle cup taken", "order-shipped", "timer archive"]);
    }

    #[test]
    fn a_failed_shipment_gives_goods_and_money_back() {
        let failure = Err(Failure::Exhausted("no lorry".to_owned()));
        let (state, intents) = accepted(Some(order_in(Phase::Shipping)), booked(failure));
        assert_eq!(state.phase, Phase::Cancelled);
        assert_eq!(
            names(&intents),
            [
                "record-order cancelled",
                "settle tea released",
                "settle cup released",
                "refund 1998 of ch-1",
                "order-cancelled the shipment failed, exhausted: no lorry",
                "timer archive",
            ]
        );
    }

    #[test]
    fn a_shipment_that_nobody_waits_for_is_rejected() {
        for phase in [Phase::Reserving, Phase::Charging, Phase::Shipped, Phase::Cancelled] {
            assert_eq!(decide_now(Some(order_in(phase)), booked(Ok(()))), Err(Rejection::UnexpectedOutcome(phase)));
        }
    }

    #[test]
    fn a_finished_order_ends_after_its_stay() {
        for phase in [Phase::Shipped, Phase::Cancelled] {
            let ended = decide_now(Some(order_in(phase)), timer("archive"));
            assert_eq!(ended, Ok(Transition { state: None, intents: vec![] }));
        }
        let running = order_in(Phase::Shipping);
        assert_eq!(accepted(Some(running.clone()), timer("archive")), (running, vec![]));
    }
}
