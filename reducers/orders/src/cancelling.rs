//! Taking back: whatever the order holds is released, whatever it paid is refunded.

use crate::domain::{Intent, OrderCancelled, Phase, Rejection, Settlement, Transition};
use crate::order::Deciding;
use crate::{archive, payment, reserving};

/// The customer withdraws; a shipment under way is not called back.
pub(crate) fn withdraw(order: Deciding<'_>, reason: &str) -> Result<Transition, Rejection> {
    match order.phase {
        Phase::Reserving | Phase::Charging => Ok(cancel(order, ["withdrawn: ", reason].concat())),
        phase @ (Phase::Shipping | Phase::Shipped | Phase::Cancelled | Phase::Stocked) => Err(Rejection::TooLate(phase)),
    }
}

/// Ends the order without a shipment. A charge that is still under way is refunded when it comes to light.
pub(crate) fn cancel(mut order: Deciding<'_>, reason: String) -> Transition {
    let timer = match order.phase {
        Phase::Reserving => Some(reserving::TIMER),
        Phase::Charging => Some(payment::TIMER),
        Phase::Shipping | Phase::Shipped | Phase::Cancelled | Phase::Stocked => None,
    };
    order.order.cancelled_because = Some(reason.clone());
    order.enter(Phase::Cancelled);
    reserving::settle_all(&mut order, Settlement::Released);
    if let Some(receipt) = order.order.charge.clone() {
        payment::refund(&mut order, Some(&receipt), &reason);
    }
    order.ask(Intent::OrderCancelled(OrderCancelled {
        order_id: order.id(),
        customer: order.order.customer.clone(),
        reason,
        cancelled_at: order.context.now,
    }));
    if let Some(timer) = timer {
        order.stop_waiting(timer);
    }
    order.wait(archive::TIMER, archive::STAY);
    order.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{accepted, decide_now, names, order_in, withdrawn};

    #[test]
    fn a_customer_may_withdraw_until_the_goods_are_on_their_way() {
        let (state, intents) = accepted(Some(order_in(Phase::Charging)), withdrawn("found it cheaper"));
        assert_eq!(state.phase, Phase::Cancelled);
        assert_eq!(
            names(&intents),
            [
                "record-order cancelled",
                "settle tea released",
                "settle cup released",
                "order-cancelled withdrawn: found it cheaper",
                "timer-cancel payment",
                "timer archive",
            ]
        );
        for phase in [Phase::Shipping, Phase::Shipped, Phase::Cancelled] {
            assert_eq!(decide_now(Some(order_in(phase)), withdrawn("late")), Err(Rejection::TooLate(phase)));
        }
    }
}
