// Placing an order: it is checked, priced, and asks each article's stock for its lines.

#include "order.h"

/// The most that an order may cost, in hundredths: every amount up to it has an exact floating-point form.
#define TOTAL_MAX (UINT64_C(1) << 53)
/// The most lines of one order: each is an intent.
#define LINES_MAX 50
/// The longest name of an article, in bytes: it is the key of its stock.
#define STOCK_ID_BYTES_MAX 256
/// How long the stock may take to answer for every line.
#define RESERVING_SECONDS 120

typedef shop_orders_domain_list_line_t lines_t;

static bool check(const lines_t *lines, rejection_t *why) {
  if (lines->len == 0) return reject(why, REJECTION(NO_LINES));
  if (lines->len > LINES_MAX) {
    why->val.too_many_lines = LINES_MAX;
    return reject(why, REJECTION(TOO_MANY_LINES));
  }
  for (size_t i = 0; i < lines->len; i++) {
    text_t stock_id = lines->ptr[i].stock_id;
    if (stock_id.len == 0 || stock_id.len > STOCK_ID_BYTES_MAX) return reject(why, REJECTION(BAD_STOCK_ID));
    if (lines->ptr[i].quantity == 0) return reject_text(why, REJECTION(BAD_QUANTITY), stock_id);
    for (size_t earlier = 0; earlier < i; earlier++)
      if (same(lines->ptr[earlier].stock_id, stock_id)) return reject_text(why, REJECTION(LINE_TWICE), stock_id);
  }
  return true;
}

/// What the lines cost together after the discount, rounded to the nearest hundredth.
static bool price(const lines_t *lines, orders_option_f64_t discount, uint64_t *total, rejection_t *why) {
  uint64_t full = 0;
  for (size_t i = 0; i < lines->len; i++) {
    // Divided instead of multiplied, so that nothing overflows.
    if (lines->ptr[i].unit_price > TOTAL_MAX / lines->ptr[i].quantity) return reject(why, REJECTION(TOTAL_TOO_LARGE));
    full += lines->ptr[i].unit_price * lines->ptr[i].quantity;
    if (full > TOTAL_MAX) return reject(why, REJECTION(TOTAL_TOO_LARGE));
  }
  *total = full;
  if (!discount.is_some) return true;
  if (!(discount.val >= 0 && discount.val < 1)) return reject(why, REJECTION(BAD_DISCOUNT));
  double exact = (double)full * (1 - discount.val);
  double whole = __builtin_floor(exact);
  *total = (uint64_t)whole + (exact - whole >= 0.5);
  return true;
}

bool place(const context_t *context, const shop_orders_domain_placed_t *event, transition_t *decided, rejection_t *why) {
  uint64_t total;
  if (!check(&event->lines, why) || !price(&event->lines, event->discount, &total, why)) return false;

  size_t count = event->lines.len;
  order_line_t *lines = malloc(count * sizeof(order_line_t));
  for (size_t i = 0; i < count; i++) {
    lines[i] = (order_line_t){event->lines.ptr[i].stock_id, event->lines.ptr[i].quantity, {.tag = RESERVATION(ASKED)}};
  }
  order_t placed = {
      .customer = event->customer,
      .lines = {lines, count},
      .currency = event->currency,
      .total = total,
      .handling = event->handling,
      .payment_method = event->payment_method,
      .placed_at = event->placed_at,
  };

  deciding_t order = deciding(context, PHASE(RESERVING), placed, context->now);
  enter(&order, PHASE(RESERVING));
  for (size_t i = 0; i < count; i++) {
    ask(&order, INTENT(RESERVE))->val.reserve = (shop_orders_domain_reserve_t){lines[i].stock_id, context->entity, lines[i].quantity};
  }
  wait_for(&order, RESERVING_TIMER, RESERVING_SECONDS);
  return done(&order, decided);
}
