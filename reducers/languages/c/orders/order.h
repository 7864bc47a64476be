// An order under decision: what it was, what it becomes, and what it asks for on the way.
#ifndef ORDERS_ORDER_H
#define ORDERS_ORDER_H

#include "domain.h"

/// As many as a workflow admits in one decision unless its manifest says otherwise.
#define INTENTS_MOST 64

typedef struct {
  const context_t *context;
  phase_t phase;
  order_t order;
  uint64_t updated_at;
  intent_t *intents;
  size_t asked;
} deciding_t;

/// An order as it was left at `updated_at`.
deciding_t deciding(const context_t *context, phase_t phase, order_t order, uint64_t updated_at);

/// Room for one more intent, of this case.
intent_t *ask(deciding_t *order, uint8_t tag);

/// Sets the timer `name`, so many seconds from now.
void wait_for(deciding_t *order, const char *name, uint32_t seconds);
void stop_waiting(deciding_t *order, const char *name);

/// Enters `phase`, and asks for the row that shows it.
void enter(deciding_t *order, phase_t phase);

/// The decision.
bool done(const deciding_t *order, transition_t *decided);
/// The decision that there is nothing to do. Only for an order that was not touched.
bool unchanged(const deciding_t *order, transition_t *decided);

// An order's way. Each decides: true with what is decided, or false with why not.

#define RESERVING_TIMER "reserving"
#define PAYMENT_TIMER "payment"
#define ARCHIVE_TIMER "archive"
/// How long a finished order stays, for what may still come about it: thirty days.
#define ARCHIVE_SECONDS (30 * 24 * 60 * 60)

bool place(const context_t *context, const shop_orders_domain_placed_t *event, transition_t *decided, rejection_t *why);
bool answered(deciding_t *order, const shop_orders_domain_answered_t *answered, transition_t *decided, rejection_t *why);
/// Tells the stock of every line that is held how the reservation ended.
void settle_all(deciding_t *order, settlement_t settlement);
/// Asks for the order's total.
bool charge(deciding_t *order, transition_t *decided);
bool charged(deciding_t *order, const shop_orders_domain_result_charge_receipt_failure_t *result, transition_t *decided, rejection_t *why);
/// Asks for the money to go back: the charge of the receipt, or whatever was charged for the order.
void refund(deciding_t *order, const receipt_t *receipt, text_t reason);
/// Asks for the shipment.
bool ship(deciding_t *order, transition_t *decided);
bool booked(deciding_t *order, const shop_orders_domain_result_void_failure_t *result, transition_t *decided, rejection_t *why);
/// The customer withdraws; a shipment under way is not called back.
bool withdraw(deciding_t *order, text_t reason, transition_t *decided, rejection_t *why);
/// Ends the order without a shipment. A charge that is still under way is refunded when it comes to light.
bool cancel(deciding_t *order, text_t reason, transition_t *decided);
/// What failed, and how, for people to read.
text_t failed(const char *what, const failure_t *failure);

#endif
