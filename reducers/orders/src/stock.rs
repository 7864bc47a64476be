//! The stock of one article: what is there, and how much of it each order holds.

use purefold_guest::Context;

use crate::domain::{
    Answer, Answered, Arrived, Body, Intent, Phase, Place, Rejection, Reserve, SetLevel, Settle, Settlement, State, Stock, Transition,
};

/// The stock of an article that nobody has heard of yet.
pub(crate) const NOTHING: Stock = Stock { on_hand: 0, place: None, holds: Vec::new() };

/// Goods came in, and lie where they were put now.
pub(crate) fn arrive(context: &Context, mut stock: Stock, event: &Arrived) -> Transition {
    stock.on_hand = stock.on_hand.saturating_add(event.quantity);
    stock.place = Some(Place { shelf: event.shelf, unit_weight_kg: event.unit_weight_kg });
    changed(context, stock, None)
}

/// An order asks for some of it.
pub(crate) fn reserve(context: &Context, mut stock: Stock, request: Reserve) -> Result<Transition, Rejection> {
    if stock.holds.iter().any(|(order, _)| *order == request.order_id) {
        return Err(Rejection::AlreadyHeld(request.order_id));
    }
    let available = available(&stock);
    let answer = match stock.place {
        Some(place) if available >= request.quantity => {
            stock.holds.push((request.order_id.clone(), request.quantity));
            Answer::Held(place)
        }
        _ => Answer::Short(available),
    };
    let answered = Answered { order_id: request.order_id, stock_id: context.entity.clone(), answer };
    Ok(changed(context, stock, Some(Intent::Answered(answered))))
}

/// An order takes what it holds, or lets it go.
pub(crate) fn settle(context: &Context, mut stock: Stock, settle: &Settle) -> Result<Transition, Rejection> {
    let Some(index) = stock.holds.iter().position(|(order, _)| *order == settle.order_id) else {
        return Err(Rejection::NoHold(settle.order_id.clone()));
    };
    let (_, quantity) = stock.holds.remove(index);
    match settle.settlement {
        // Held goods are on hand: a hold is only given for what is there.
        Settlement::Taken => stock.on_hand = stock.on_hand.saturating_sub(quantity),
        Settlement::Released => {}
    }
    Ok(changed(context, stock, None))
}

fn available(stock: &Stock) -> u32 {
    stock.holds.iter().fold(stock.on_hand, |left, (_, held)| left.saturating_sub(*held))
}

fn changed(context: &Context, stock: Stock, answer: Option<Intent>) -> Transition {
    let level = Intent::SetLevel(SetLevel { stock_id: context.entity.clone(), available: available(&stock) });
    let state = State { phase: Phase::Stocked, updated_at: context.now, body: Body::Stock(stock) };
    Transition { state: Some(state), intents: answer.into_iter().chain([level]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Input;
    use crate::fixture::{accepted, arrived, decide_now, names, order_in, placed, timer};

    fn reserve(order_id: &str, quantity: u32) -> Input {
        Input::Reserve(Reserve { stock_id: "tea".to_owned(), order_id: order_id.to_owned(), quantity })
    }

    fn settle(order_id: &str, settlement: Settlement) -> Input {
        Input::Settle(Settle { stock_id: "tea".to_owned(), order_id: order_id.to_owned(), settlement })
    }

    fn stock_of(state: &State) -> (u32, Vec<(String, u32)>) {
        let Body::Stock(stock) = &state.body else { panic!("{state:?}") };
        (stock.on_hand, stock.holds.clone())
    }

    #[test]
    fn goods_are_held_for_an_order_until_it_takes_or_releases_them() {
        let (state, intents) = accepted(None, arrived(5));
        assert_eq!((stock_of(&state), names(&intents)), ((5, vec![]), vec!["set-level 5".to_owned()]));

        let (state, intents) = accepted(Some(state), reserve("a", 2));
        assert_eq!(stock_of(&state), (5, vec![("a".to_owned(), 2)]));
        assert_eq!(names(&intents), ["answered a held", "set-level 3"]);

        let (state, intents) = accepted(Some(state), reserve("b", 3));
        assert_eq!(names(&intents), ["answered b held", "set-level 0"]);

        let (state, intents) = accepted(Some(state), settle("a", Settlement::Taken));
        assert_eq!(stock_of(&state), (3, vec![("b".to_owned(), 3)]));
        assert_eq!(names(&intents), ["set-level 0"]);

        let (state, intents) = accepted(Some(state), settle("b", Settlement::Released));
        assert_eq!((stock_of(&state), names(&intents)), ((3, vec![]), vec!["set-level 3".to_owned()]));
    }

    #[test]
    fn who_asks_for_more_than_there_is_learns_how_much_there_is() {
        let (state, _) = accepted(None, arrived(2));
        let (state, intents) = accepted(Some(state), reserve("a", 3));
        assert_eq!((stock_of(&state), names(&intents)), ((2, vec![]), vec!["answered a short 2".to_owned(), "set-level 2".to_owned()]));
        let (state, intents) = accepted(None, reserve("a", 1));
        assert_eq!((stock_of(&state), &names(&intents)[0][..]), ((0, vec![]), "answered a short 0"));
    }

    #[test]
    fn an_order_holds_once_and_settles_once() {
        let (state, _) = accepted(None, arrived(9));
        let (state, _) = accepted(Some(state), reserve("a", 1));
        assert_eq!(decide_now(Some(state.clone()), reserve("a", 1)), Err(Rejection::AlreadyHeld("a".to_owned())));
        let (state, _) = accepted(Some(state), settle("a", Settlement::Taken));
        assert_eq!(decide_now(Some(state), settle("a", Settlement::Taken)), Err(Rejection::NoHold("a".to_owned())));
    }

    #[test]
    fn goods_beyond_counting_stop_at_the_last_number() {
        let (state, _) = accepted(None, arrived(u32::MAX));
        let (state, _) = accepted(Some(state), arrived(1));
        assert_eq!(stock_of(&state).0, u32::MAX);
    }

    #[test]
    fn orders_and_stock_are_not_mistaken_for_each_other() {
        let (stock, _) = accepted(None, arrived(1));
        assert_eq!(decide_now(Some(stock.clone()), placed()), Err(Rejection::NotAnOrder));
        assert_eq!(decide_now(Some(stock), timer("archive")), Err(Rejection::NotAnOrder));
        let order = order_in(Phase::Charging);
        assert_eq!(decide_now(Some(order.clone()), arrived(1)), Err(Rejection::NotStock));
        assert_eq!(decide_now(Some(order), reserve("a", 1)), Err(Rejection::NotStock));
        assert_eq!(decide_now(None, timer("archive")), Err(Rejection::Unknown));
    }
}
