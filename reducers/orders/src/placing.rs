//! Placing an order: it is checked, priced, and asks each article's stock for its lines.

use core::time::Duration;

use purefold_guest::Context;

use crate::domain::{Intent, Line, Order, OrderLine, Phase, Placed, Rejection, Reservation, Reserve, Transition};
use crate::order::Deciding;
use crate::reserving;

/// The most that an order may cost, in hundredths: every amount up to it has an exact floating-point form.
const TOTAL_MAX: u64 = 1 << 53;

/// The most lines of one order: each is an intent, of which a decision has 64 at most unless a manifest says otherwise.
const LINES_MAX: usize = 50;

/// The longest name of an article, in bytes: it is the key of its stock.
const STOCK_ID_BYTES_MAX: usize = 256;

/// How long the stock may take to answer for every line.
const RESERVING_TIMEOUT: Duration = Duration::from_secs(2 * 60);

pub(crate) fn place(context: &Context, event: Placed) -> Result<Transition, Rejection> {
    check(&event.lines)?;
    let total = total(&event.lines, event.discount)?;
    let lines = event
        .lines
        .into_iter()
        .map(|line| OrderLine { stock_id: line.stock_id, quantity: line.quantity, reservation: Reservation::Asked })
        .collect();
    let order = Order {
        customer: event.customer,
        lines,
        currency: event.currency,
        total,
        handling: event.handling,
        payment_method: event.payment_method,
        placed_at: event.placed_at,
        charge: None,
        cancelled_because: None,
    };

    let mut order = Deciding::new(context, Phase::Reserving, order, context.now);
    order.enter(Phase::Reserving);
    for line in order.order.lines.clone() {
        order.ask(Intent::Reserve(Reserve { stock_id: line.stock_id, order_id: order.id(), quantity: line.quantity }));
    }
    order.wait(reserving::TIMER, RESERVING_TIMEOUT);
    Ok(order.done())
}

fn check(lines: &[Line]) -> Result<(), Rejection> {
    if lines.is_empty() {
        return Err(Rejection::NoLines);
    }
    if lines.len() > LINES_MAX {
        return Err(Rejection::TooManyLines(LINES_MAX as u32));
    }
    for (index, line) in lines.iter().enumerate() {
        if line.stock_id.is_empty() || line.stock_id.len() > STOCK_ID_BYTES_MAX {
            return Err(Rejection::BadStockId);
        }
        if line.quantity == 0 {
            return Err(Rejection::BadQuantity(line.stock_id.clone()));
        }
        if lines[..index].iter().any(|earlier| earlier.stock_id == line.stock_id) {
            return Err(Rejection::LineTwice(line.stock_id.clone()));
        }
    }
    Ok(())
}

/// What the lines cost together after the discount, rounded to the nearest hundredth.
fn total(lines: &[Line], discount: Option<f64>) -> Result<u64, Rejection> {
    let full = lines
        .iter()
        .try_fold(0_u64, |sum, line| sum.checked_add(line.unit_price.checked_mul(u64::from(line.quantity))?))
        .filter(|full| *full <= TOTAL_MAX)
        .ok_or(Rejection::TotalTooLarge)?;
    match discount {
        None => Ok(full),
        Some(share) if (0.0..1.0).contains(&share) => Ok((full as f64 * (1.0 - share)).round() as u64),
        Some(_) => Err(Rejection::BadDiscount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Input;
    use crate::fixture::{NOW, SECOND, accepted, decide_now, names, order_placed, placed};

    fn placed_with(lines: &[(&str, u32, u64)], discount: Option<f64>) -> Input {
        let lines = lines.iter().map(|&(stock_id, quantity, unit_price)| Line { stock_id: stock_id.to_owned(), quantity, unit_price });
        Input::Placed(Placed { lines: lines.collect(), discount, ..order_placed() })
    }

    #[test]
    fn an_order_asks_the_stock_of_every_line() {
        let (state, intents) = accepted(None, placed());
        assert_eq!(state.phase, Phase::Reserving);
        assert_eq!(names(&intents), ["record-order reserving", "reserve tea 2", "reserve cup 1", "timer reserving"]);
        let Some(Intent::Timer(timer)) = intents.last() else { panic!("{intents:?}") };
        assert_eq!(timer.due, NOW + 120 * SECOND);
    }

    #[test]
    fn an_order_is_checked_before_anything_is_asked() {
        assert_eq!(decide_now(None, placed_with(&[], None)), Err(Rejection::NoLines));
        let names: Vec<String> = (0..=LINES_MAX).map(|number| number.to_string()).collect();
        let lines: Vec<(&str, u32, u64)> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
        assert_eq!(decide_now(None, placed_with(&lines, None)), Err(Rejection::TooManyLines(50)));
        assert_eq!(accepted(None, placed_with(&lines[1..], None)).1.len(), 52);
        assert_eq!(decide_now(None, placed_with(&[("tea", 1, 1), ("cup", 0, 1)], None)), Err(Rejection::BadQuantity("cup".to_owned())));
        for stock_id in ["", &"x".repeat(STOCK_ID_BYTES_MAX + 1)] {
            assert_eq!(decide_now(None, placed_with(&[("tea", 1, 1), (stock_id, 1, 1)], None)), Err(Rejection::BadStockId));
        }
        assert_eq!(
            decide_now(None, placed_with(&[("tea", 1, 1), ("cup", 1, 1), ("tea", 2, 1)], None)),
            Err(Rejection::LineTwice("tea".to_owned()))
        );
        for discount in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(decide_now(None, placed_with(&[("tea", 1, 1)], Some(discount))), Err(Rejection::BadDiscount), "{discount}");
        }
        for lines in [[("tea", 2, u64::MAX), ("cup", 1, 1)], [("tea", 1, u64::MAX), ("cup", 1, 1)], [("tea", 1, 1 << 53), ("cup", 1, 1)]] {
            assert_eq!(decide_now(None, placed_with(&lines, None)), Err(Rejection::TotalTooLarge), "{lines:?}");
        }
        let (state, _) = accepted(None, placed());
        assert_eq!(decide_now(Some(state), placed()), Err(Rejection::AlreadyPlaced));
    }

    #[test]
    fn the_total_is_what_the_lines_cost_less_the_discount() {
        let line = |quantity, unit_price| Line { stock_id: String::new(), quantity, unit_price };
        for (lines, discount, expected) in [
            (vec![line(2, 499), line(1, 1_000)], None, 1_998),
            (vec![line(2, 499), line(1, 1_000)], Some(0.0), 1_998),
            (vec![line(2, 499), line(1, 1_000)], Some(0.1), 1_798),
            (vec![line(1, 5)], Some(0.5), 3),
            (vec![line(3, 0)], None, 0),
            (vec![line(1, 1 << 53)], Some(0.5), 1 << 52),
        ] {
            assert_eq!(total(&lines, discount), Ok(expected));
        }
    }
}
