//! Waiting for the stock of every line: once all is held, the payment; once anything is short, the end.

use crate::cancelling;
use crate::domain::{Answer, Answered, Intent, Phase, Rejection, Reservation, Settle, Settlement, Transition};
use crate::order::Deciding;
use crate::payment;

/// The timer's name.
pub(crate) const TIMER: &str = "reserving";

/// The stock of one line answered.
pub(crate) fn answered(mut order: Deciding<'_>, answered: Answered) -> Result<Transition, Rejection> {
    let waiting = |reservation: &Reservation| matches!(reservation, Reservation::Asked);
    let line = order.order.lines.iter_mut().find(|line| line.stock_id == answered.stock_id && waiting(&line.reservation));
    let Some(line) = line else { return Err(Rejection::UnexpectedAnswer(answered.stock_id)) };
    line.reservation = match answered.answer {
        Answer::Held(place) => Reservation::Held(place),
        Answer::Short(available) => Reservation::Short(available),
    };

    match (order.phase, &answered.answer) {
        (Phase::Reserving, Answer::Short(_)) => Ok(cancelling::cancel(order, ["not enough ", &answered.stock_id].concat())),
        (Phase::Reserving, Answer::Held(_)) if order.order.lines.iter().any(|line| waiting(&line.reservation)) => Ok(order.done()),
        (Phase::Reserving, Answer::Held(_)) => {
            order.stop_waiting(TIMER);
            Ok(payment::charge(order))
        }
        // The order was cancelled before this answer came: what it holds goes back.
        (_, Answer::Held(_)) => {
            settle(&mut order, &answered.stock_id, Settlement::Released);
            Ok(order.done())
        }
        (_, Answer::Short(_)) => Ok(order.done()),
    }
}

/// Tells the stock of every line that is held how the reservation ended.
pub(crate) fn settle_all(order: &mut Deciding<'_>, settlement: Settlement) {
    for line in order.order.lines.clone() {
        if matches!(line.reservation, Reservation::Held(_)) {
            settle(order, &line.stock_id, settlement);
        }
    }
}

fn settle(order: &mut Deciding<'_>, stock_id: &str, settlement: Settlement) {
    let order_id = order.id();
    order.ask(Intent::Settle(Settle { stock_id: stock_id.to_owned(), order_id, settlement }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{accepted, decide_now, held, names, order_in, placed, short, timer};

    #[test]
    fn once_every_line_is_held_the_customer_is_charged() {
        let (state, _) = accepted(None, placed());
        let (state, intents) = accepted(Some(state), held("cup"));
        assert_eq!((state.phase, names(&intents)), (Phase::Reserving, vec![]));
        let (state, intents) = accepted(Some(state), held("tea"));
        assert_eq!(state.phase, Phase::Charging);
        assert_eq!(names(&intents), ["timer-cancel reserving", "record-order charging", "charge 1998", "timer payment"]);
    }

    #[test]
    fn one_short_line_cancels_the_order_and_releases_the_others() {
        let (state, _) = accepted(None, placed());
        let (state, _) = accepted(Some(state), held("cup"));
        let (state, intents) = accepted(Some(state), short("tea", 1));
        assert_eq!(state.phase, Phase::Cancelled);
        assert_eq!(
            names(&intents),
            ["record-order cancelled", "settle cup released", "order-cancelled not enough tea", "timer-cancel reserving", "timer archive"]
        );
    }

    #[test]
    fn what_is_held_after_the_order_was_cancelled_goes_back() {
        let (state, _) = accepted(None, placed());
        let (state, _) = accepted(Some(state), short("tea", 0));
        let (state, intents) = accepted(Some(state), held("cup"));
        assert_eq!((state.phase, names(&intents)), (Phase::Cancelled, vec!["settle cup released".to_owned()]));

        let (state, _) = accepted(None, placed());
        let (state, _) = accepted(Some(state), short("tea", 0));
        let (state, intents) = accepted(Some(state), short("cup", 0));
        assert_eq!((state.phase, names(&intents)), (Phase::Cancelled, vec![]));
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_rejected() {
        let (state, _) = accepted(None, placed());
        let unexpected = |stock_id: &str| Err(Rejection::UnexpectedAnswer(stock_id.to_owned()));
        assert_eq!(decide_now(Some(state.clone()), held("pot")), unexpected("pot"));
        let (state, _) = accepted(Some(state), held("tea"));
        assert_eq!(decide_now(Some(state), held("tea")), unexpected("tea"));
        assert_eq!(decide_now(Some(order_in(Phase::Charging)), held("tea")), unexpected("tea"));
    }

    #[test]
    fn stock_that_does_not_answer_in_time_cancels_the_order() {
        let (state, _) = accepted(None, placed());
        let (state, _) = accepted(Some(state), held("tea"));
        let (state, intents) = accepted(Some(state), timer(TIMER));
        assert_eq!(state.phase, Phase::Cancelled);
        assert_eq!(names(&intents)[1], "settle tea released");
        let later = order_in(Phase::Charging);
        assert_eq!(accepted(Some(later.clone()), timer(TIMER)), (later, vec![]));
    }
}
