// Which input goes where: decides one input of one order, or of the stock of one article.

#include "order.h"
#include "stock.h"

static bool order_of(const context_t *context, const state_t *state, deciding_t *order, rejection_t *why) {
  if (state == NULL) return reject(why, REJECTION(UNKNOWN));
  if (state->body.tag != BODY(ORDER)) return reject(why, REJECTION(NOT_AN_ORDER));
  *order = deciding(context, state->phase, state->body.val.order, state->updated_at);
  return true;
}

/// Stock begins when it is first heard of, even if that is an order's wish.
static bool stock_of(const state_t *state, stock_t *stock, rejection_t *why) {
  *stock = (stock_t){0};
  if (state == NULL) return true;
  if (state->body.tag != BODY(STOCK)) return reject(why, REJECTION(NOT_STOCK));
  *stock = state->body.val.stock;
  return true;
}

/// A timer that comes when what it waited for is over changes nothing.
static bool timer_due(deciding_t *order, text_t name, transition_t *decided) {
  if (same(name, text(RESERVING_TIMER)) && order->phase == PHASE(RESERVING))
    return cancel(order, text("the stock did not answer in time"), decided);
  if (same(name, text(PAYMENT_TIMER)) && order->phase == PHASE(CHARGING))
    return cancel(order, text("the payment did not come in time"), decided);
  if (same(name, text(ARCHIVE_TIMER)) && (order->phase == PHASE(SHIPPED) || order->phase == PHASE(CANCELLED))) {
    // The order ends; what it was stands in its row and in the journal.
    *decided = (transition_t){0};
    return true;
  }
  return unchanged(order, decided);
}

bool exports_orders_reduce(context_t *context, state_t *state, input_t *input, transition_t *decided, rejection_t *why) {
  deciding_t order;
  stock_t stock;
  switch (input->tag) {
  case INPUT(PLACED):
    if (state == NULL) return place(context, &input->val.placed, decided, why);
    return reject(why, state->body.tag == BODY(ORDER) ? REJECTION(ALREADY_PLACED) : REJECTION(NOT_AN_ORDER));
  case INPUT(ARRIVED):
    return stock_of(state, &stock, why) && arrive(context, stock, &input->val.arrived, decided);
  case INPUT(RESERVE):
    return stock_of(state, &stock, why) && reserve(context, stock, &input->val.reserve, decided, why);
  case INPUT(SETTLE):
    return stock_of(state, &stock, why) && settle(context, stock, &input->val.settle, decided, why);
  case INPUT(WITHDRAWN):
    return order_of(context, state, &order, why) && withdraw(&order, input->val.withdrawn.reason, decided, why);
  case INPUT(ANSWERED):
    return order_of(context, state, &order, why) && answered(&order, &input->val.answered, decided, why);
  case INPUT(CHARGED):
    return order_of(context, state, &order, why) && charged(&order, &input->val.charged.result, decided, why);
  case INPUT(BOOKED):
    return order_of(context, state, &order, why) && booked(&order, &input->val.booked.result, decided, why);
  case INPUT(TIMER):
    return order_of(context, state, &order, why) && timer_due(&order, input->val.timer.name, decided);
  default:
    // The contract has no other case.
    abort();
  }
}
