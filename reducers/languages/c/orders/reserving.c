// Waiting for the stock of every line: once all is held, the payment; once anything is short, the end.

#include "order.h"

static order_line_t *waiting(const deciding_t *order, const text_t *stock_id) {
  for (size_t i = 0; i < order->order.lines.len; i++) {
    order_line_t *line = &order->order.lines.ptr[i];
    if (line->reservation.tag == RESERVATION(ASKED) && (stock_id == NULL || same(line->stock_id, *stock_id))) return line;
  }
  return NULL;
}

static void settle_line(deciding_t *order, text_t stock_id, settlement_t settlement) {
  ask(order, INTENT(SETTLE))->val.settle = (shop_orders_domain_settle_t){stock_id, order->context->entity, settlement};
}

void settle_all(deciding_t *order, settlement_t settlement) {
  for (size_t i = 0; i < order->order.lines.len; i++) {
    const order_line_t *line = &order->order.lines.ptr[i];
    if (line->reservation.tag == RESERVATION(HELD)) settle_line(order, line->stock_id, settlement);
  }
}

bool answered(deciding_t *order, const shop_orders_domain_answered_t *answered, transition_t *decided, rejection_t *why) {
  order_line_t *line = waiting(order, &answered->stock_id);
  if (line == NULL) return reject_text(why, REJECTION(UNEXPECTED_ANSWER), answered->stock_id);
  bool held = answered->answer.tag == ANSWER(HELD);
  if (held) {
    line->reservation.tag = RESERVATION(HELD);
    line->reservation.val.held = answered->answer.val.held;
  } else {
    line->reservation.tag = RESERVATION(SHORT);
    line->reservation.val.short_ = answered->answer.val.short_;
  }

  if (order->phase != PHASE(RESERVING)) {
    // The order was cancelled before this answer came: what it holds goes back.
    if (held) settle_line(order, answered->stock_id, SETTLEMENT(RELEASED));
    return done(order, decided);
  }
  if (!held) return cancel(order, joined(text("not enough "), answered->stock_id, text("")), decided);
  if (waiting(order, NULL) != NULL) return done(order, decided);
  stop_waiting(order, RESERVING_TIMER);
  return charge(order, decided);
}
