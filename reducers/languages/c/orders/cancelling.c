// Taking back: whatever the order holds is released, whatever it paid is refunded.

#include "order.h"

bool withdraw(deciding_t *order, text_t reason, transition_t *decided, rejection_t *why) {
  if (order->phase != PHASE(RESERVING) && order->phase != PHASE(CHARGING)) return reject_phase(why, REJECTION(TOO_LATE), order->phase);
  return cancel(order, joined(text("withdrawn: "), reason, text("")), decided);
}

static const char *timer_of(phase_t phase) {
  switch (phase) {
  case PHASE(RESERVING):
    return RESERVING_TIMER;
  case PHASE(CHARGING):
    return PAYMENT_TIMER;
  default:
    return NULL;
  }
}

bool cancel(deciding_t *order, text_t reason, transition_t *decided) {
  const char *timer = timer_of(order->phase);
  order->order.cancelled_because = (option_text_t){true, reason};
  enter(order, PHASE(CANCELLED));
  settle_all(order, SETTLEMENT(RELEASED));
  if (order->order.charge.is_some) refund(order, &order->order.charge.val, reason);
  ask(order, INTENT(ORDER_CANCELLED))->val.order_cancelled =
      (shop_orders_domain_order_cancelled_t){order->context->entity, order->order.customer, reason, order->context->now};
  if (timer != NULL) stop_waiting(order, timer);
  wait_for(order, ARCHIVE_TIMER, ARCHIVE_SECONDS);
  return done(order, decided);
}
