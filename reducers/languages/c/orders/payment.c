// Charging the customer. A charge is only known once its receipt is here: wherever it may have happened unseen, it is refunded.

#include "order.h"

/// How long a charge may take before the order is given up.
#define PAYMENT_SECONDS (15 * 60)

bool charge(deciding_t *order, transition_t *decided) {
  enter(order, PHASE(CHARGING));
  ask(order, INTENT(CHARGE))->val.charge = (shop_orders_domain_charge_t){
      order->context->entity, order->order.payment_method, order->order.total, order->order.currency};
  wait_for(order, PAYMENT_TIMER, PAYMENT_SECONDS);
  return done(order, decided);
}

static bool may_have_happened(const failure_t *failure) {
  return failure->tag == PUREFOLD_REDUCER_TYPES_FAILURE_UNKNOWN || failure->tag == PUREFOLD_REDUCER_TYPES_FAILURE_UNREADABLE_REPLY;
}

void refund(deciding_t *order, const receipt_t *receipt, text_t reason) {
  ask(order, INTENT(REFUND))->val.refund = (shop_orders_domain_refund_t){
      .order_id = order->context->entity,
      .charge_id = {receipt != NULL, receipt != NULL ? receipt->charge_id : text("")},
      .amount = receipt != NULL ? receipt->amount : order->order.total,
      .currency = order->order.currency,
      .reason = reason,
  };
}

static void keep(deciding_t *order, receipt_t receipt) {
  order->order.charge.is_some = true;
  order->order.charge.val = receipt;
}

static bool paid(deciding_t *order, const receipt_t *receipt, transition_t *decided) {
  keep(order, *receipt);
  if (receipt->amount != order->order.total) return cancel(order, text("another amount was charged than was asked for"), decided);
  stop_waiting(order, PAYMENT_TIMER);
  return ship(order, decided);
}

static bool not_paid(deciding_t *order, const failure_t *failure, transition_t *decided) {
  text_t reason = failed("the charge", failure);
  if (may_have_happened(failure)) refund(order, NULL, reason);
  return cancel(order, reason, decided);
}

bool charged(deciding_t *order, const shop_orders_domain_result_charge_receipt_failure_t *result, transition_t *decided, rejection_t *why) {
  switch (order->phase) {
  case PHASE(CHARGING):
    return result->is_err ? not_paid(order, &result->val.err, decided) : paid(order, &result->val.ok, decided);
  // The order was given up meanwhile: whatever was charged goes back.
  case PHASE(CANCELLED):
    if (!result->is_err) {
      keep(order, result->val.ok);
      refund(order, &result->val.ok, text("the order was cancelled before the charge was known"));
    } else if (may_have_happened(&result->val.err)) {
      refund(order, NULL, text("the order was cancelled and the charge may have happened"));
    }
    return done(order, decided);
  default:
    return reject_phase(why, REJECTION(UNEXPECTED_OUTCOME), order->phase);
  }
}
