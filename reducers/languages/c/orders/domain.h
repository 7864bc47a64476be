// The contract's types under shorter names. Texts are shared freely: nothing is freed, and whatever is in the result is copied
// out of the sandbox.
#ifndef ORDERS_DOMAIN_H
#define ORDERS_DOMAIN_H

#include <stdlib.h>
#include <string.h>

#include "orders.h"

typedef orders_string_t text_t;
typedef orders_option_string_t option_text_t;
typedef orders_context_t context_t;
typedef orders_state_t state_t;
typedef orders_input_t input_t;
typedef orders_transition_t transition_t;
typedef orders_rejection_t rejection_t;
typedef shop_orders_domain_phase_t phase_t;
typedef shop_orders_domain_order_t order_t;
typedef shop_orders_domain_order_line_t order_line_t;
typedef shop_orders_domain_stock_t stock_t;
typedef shop_orders_domain_intent_t intent_t;
typedef shop_orders_domain_failure_t failure_t;
typedef shop_orders_domain_settlement_t settlement_t;
typedef shop_orders_domain_charge_receipt_t receipt_t;

#define PHASE(name) SHOP_ORDERS_DOMAIN_PHASE_##name
#define INPUT(name) SHOP_ORDERS_DOMAIN_INPUT_##name
#define INTENT(name) SHOP_ORDERS_DOMAIN_INTENT_##name
#define REJECTION(name) SHOP_ORDERS_DOMAIN_REJECTION_##name
#define RESERVATION(name) SHOP_ORDERS_DOMAIN_RESERVATION_##name
#define ANSWER(name) SHOP_ORDERS_DOMAIN_ANSWER_##name
#define SETTLEMENT(name) SHOP_ORDERS_DOMAIN_SETTLEMENT_##name
#define BODY(name) SHOP_ORDERS_DOMAIN_BODY_##name

/// A text that stands in the program.
static inline text_t text(const char *literal) { return (text_t){(uint8_t *)literal, strlen(literal)}; }

static inline bool same(text_t a, text_t b) { return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0; }

/// Three texts, one after the other.
static inline text_t joined(text_t a, text_t b, text_t c) {
  text_t all = {malloc(a.len + b.len + c.len), a.len + b.len + c.len};
  memcpy(all.ptr, a.ptr, a.len);
  memcpy(all.ptr + a.len, b.ptr, b.len);
  memcpy(all.ptr + a.len + b.len, c.ptr, c.len);
  return all;
}

// A rejection is what `reduce` gives by answering false.

static inline bool reject(rejection_t *why, uint8_t tag) {
  why->tag = tag;
  return false;
}

/// With a phase: one of the cases that carry one.
static inline bool reject_phase(rejection_t *why, uint8_t tag, phase_t phase) {
  why->val.too_late = phase;
  return reject(why, tag);
}

/// With a text: one of the cases that carry one.
static inline bool reject_text(rejection_t *why, uint8_t tag, text_t about) {
  why->val.line_twice = about;
  return reject(why, tag);
}

#endif
