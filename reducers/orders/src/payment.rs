//! Charging the customer. A charge is only known once its receipt is here: wherever it may have happened unseen, it is refunded.

use core::time::Duration;

use purefold_guest::Failure;

use crate::domain::{Charge, ChargeReceipt, Charged, Intent, Phase, Refund, Rejection, Transition};
use crate::order::Deciding;
use crate::{cancelling, shipping};

/// The timer's name.
pub(crate) const TIMER: &str = "payment";

/// How long a charge may take before the order is given up.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Asks for the order's total.
pub(crate) fn charge(mut order: Deciding<'_>) -> Transition {
    order.enter(Phase::Charging);
    order.ask(Intent::Charge(Charge {
        order_id: order.id(),
        payment_method: order.order.payment_method.clone(),
        amount: order.order.total,
        currency: order.order.currency,
    }));
    order.wait(TIMER, TIMEOUT);
    order.done()
}

/// The charge concluded.
pub(crate) fn charged(mut order: Deciding<'_>, outcome: Charged) -> Result<Transition, Rejection> {
    match (order.phase, outcome.result) {
        (Phase::Charging, Ok(receipt)) if receipt.amount == order.order.total => {
            order.order.charge = Some(receipt);
            order.stop_waiting(TIMER);
            Ok(shipping::ship(order))
        }
        (Phase::Charging, Ok(receipt)) => {
            order.order.charge = Some(receipt);
            Ok(cancelling::cancel(order, "another amount was charged than was asked for".to_owned()))
        }
        (Phase::Charging, Err(failure)) => {
            let (kind, text) = failure.parts();
            let reason = ["the charge failed, ", kind, ": ", text].concat();
            if may_have_happened(&failure) {
                refund(&mut order, None, &reason);
            }
            Ok(cancelling::cancel(order, reason))
        }
        // The order was given up meanwhile: whatever was charged goes back.
        (Phase::Cancelled, Ok(receipt)) => {
            order.order.charge = Some(receipt.clone());
            refund(&mut order, Some(&receipt), "the order was cancelled before the charge was known");
            Ok(order.done())
        }
        (Phase::Cancelled, Err(failure)) => {
            if may_have_happened(&failure) {
                refund(&mut order, None, "the order was cancelled and the charge may have happened");
            }
            Ok(order.done())
        }
        (phase, _) => Err(Rejection::UnexpectedOutcome(phase)),
    }
}

/// Asks for the money to go back: the charge of the receipt, or whatever was charged for the order.
pub(crate) fn refund(order: &mut Deciding<'_>, receipt: Option<&ChargeReceipt>, reason: &str) {
    let order_id = order.id();
    let currency = order.order.currency;
    order.ask(Intent::Refund(Refund {
        order_id,
        charge_id: receipt.map(|receipt| receipt.charge_id.clone()),
        amount: receipt.map_or(order.order.total, |receipt| receipt.amount),
        currency,
        reason: reason.to_owned(),
    }));
}

fn may_have_happened(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(_) | Failure::Exhausted(_) => false,
        Failure::Unknown(_) | Failure::UnreadableReply(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{accepted, charged, charged_amount, decide_now, names, order_in, timer};

    fn failures() -> [(Failure, bool); 4] {
        let text = || "why".to_owned();
        [
            (Failure::Refused(text()), false),
            (Failure::Exhausted(text()), false),
            (Failure::Unknown(text()), true),
            (Failure::UnreadableReply(text()), true),
        ]
    }

    #[test]
    fn a_charge_leads_to_the_shipment() {
        let (state, intents) = accepted(Some(order_in(Phase::Charging)), charged_amount(1_998));
        assert_eq!(state.phase, Phase::Shipping);
        assert_eq!(names(&intents), ["timer-cancel payment", "record-order shipping", "book-shipment 1.25 kg"]);
    }

    #[test]
    fn a_charge_of_another_amount_is_refunded_and_the_order_cancelled() {
        let (state, intents) = accepted(Some(order_in(Phase::Charging)), charged_amount(1_999));
        assert_eq!(state.phase, Phase::Cancelled);
        assert_eq!(
            names(&intents),
            [
                "record-order cancelled",
                "settle tea released",
                "settle cup released",
                "refund 1999 of ch-1",
                "order-cancelled another amount was charged than was asked for",
                "timer-cancel payment",
                "timer archive",
            ]
        );
    }

    #[test]
    fn a_failed_charge_cancels_and_is_refunded_where_it_may_have_happened() {
        for (failure, refunded) in failures() {
            let (state, intents) = accepted(Some(order_in(Phase::Charging)), charged(Err(failure.clone())));
            assert_eq!(state.phase, Phase::Cancelled);
            let names = names(&intents);
            assert_eq!(names.contains(&"refund 1998 of whatever was charged".to_owned()), refunded, "{failure:?}");
            let reason = format!("order-cancelled the charge failed, {}: why", failure.parts().0);
            assert!(names.contains(&reason), "{names:?}");
        }
    }

    #[test]
    fn a_charge_that_comes_after_the_order_was_given_up_is_refunded() {
        let (state, _) = accepted(Some(order_in(Phase::Charging)), timer(TIMER));
        assert_eq!(state.phase, Phase::Cancelled);
        let (after, intents) = accepted(Some(state.clone()), charged_amount(1_998));
        assert_eq!((after.phase, names(&intents)), (Phase::Cancelled, vec!["refund 1998 of ch-1".to_owned()]));
        for (failure, refunded) in failures() {
            let (_, intents) = accepted(Some(state.clone()), charged(Err(failure)));
            assert_eq!(intents.len(), usize::from(refunded));
        }
    }

    #[test]
    fn an_outcome_that_nobody_waits_for_is_rejected() {
        for phase in [Phase::Reserving, Phase::Shipping, Phase::Shipped] {
            assert_eq!(decide_now(Some(order_in(phase)), charged_amount(1_998)), Err(Rejection::UnexpectedOutcome(phase)));
        }
    }
}
