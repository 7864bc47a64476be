#include "order.h"

#include "instant.h"

deciding_t deciding(const context_t *context, phase_t phase, order_t order, uint64_t updated_at) {
  return (deciding_t){context, phase, order, updated_at, malloc(INTENTS_MOST * sizeof(intent_t)), 0};
}

intent_t *ask(deciding_t *order, uint8_t tag) {
  if (order->asked == INTENTS_MOST) abort();
  intent_t *intent = &order->intents[order->asked++];
  intent->tag = tag;
  return intent;
}

void wait_for(deciding_t *order, const char *name, uint32_t seconds) {
  uint64_t due = instant_after(order->context->now, seconds);
  ask(order, INTENT(TIMER))->val.timer = (shop_orders_domain_timer_t){text(name), due};
}

void stop_waiting(deciding_t *order, const char *name) {
  ask(order, INTENT(TIMER_CANCEL))->val.timer_cancel = (shop_orders_domain_timer_cancel_t){text(name)};
}

void enter(deciding_t *order, phase_t phase) {
  order->phase = phase;
  const order_t *is = &order->order;
  ask(order, INTENT(RECORD_ORDER))->val.record_order = (shop_orders_domain_record_order_t){
      .order_id = order->context->entity,
      .customer = is->customer,
      .phase = phase,
      .currency = is->currency,
      .total = is->total,
      .handling = is->handling,
      .lines = is->lines,
      .charge_id = {is->charge.is_some, is->charge.val.charge_id},
      .cancelled_because = is->cancelled_because,
      .placed_at = is->placed_at,
      .updated_at = order->context->now,
  };
}

static bool left(const deciding_t *order, uint64_t updated_at, size_t asked, transition_t *decided) {
  decided->state.is_some = true;
  decided->state.val.phase = order->phase;
  decided->state.val.updated_at = updated_at;
  decided->state.val.body.tag = BODY(ORDER);
  decided->state.val.body.val.order = order->order;
  decided->intents.ptr = order->intents;
  decided->intents.len = asked;
  return true;
}

bool done(const deciding_t *order, transition_t *decided) { return left(order, order->context->now, order->asked, decided); }

bool unchanged(const deciding_t *order, transition_t *decided) { return left(order, order->updated_at, 0, decided); }

text_t failed(const char *what, const failure_t *failure) {
  static const char *const kinds[] = {"refused", "exhausted", "unknown", "unreadable_reply"};
  text_t kind = joined(text(what), text(" failed, "), text(kinds[failure->tag]));
  // Every case carries a text, in the same place.
  return joined(kind, text(": "), failure->val.refused);
}
