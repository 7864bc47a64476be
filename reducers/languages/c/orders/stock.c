#include "stock.h"

typedef orders_tuple2_string_u32_t hold_t;

static uint32_t less(uint32_t from, uint32_t taken) { return from > taken ? from - taken : 0; }

static uint32_t available(const stock_t *stock) {
  uint32_t left = stock->on_hand;
  for (size_t i = 0; i < stock->holds.len; i++) left = less(left, stock->holds.ptr[i].f1);
  return left;
}

/// The place of an order's hold, or as many as there are.
static size_t hold_of(const stock_t *stock, text_t order_id) {
  size_t i = 0;
  while (i < stock->holds.len && !same(stock->holds.ptr[i].f0, order_id)) i++;
  return i;
}

static bool changed(const context_t *context, const stock_t *stock, const shop_orders_domain_answered_t *answer, transition_t *decided) {
  intent_t *intents = malloc(2 * sizeof(intent_t));
  size_t asked = 0;
  if (answer != NULL) {
    intents[asked].tag = INTENT(ANSWERED);
    intents[asked++].val.answered = *answer;
  }
  intents[asked].tag = INTENT(SET_LEVEL);
  intents[asked++].val.set_level = (shop_orders_domain_set_level_t){context->entity, available(stock)};

  decided->state.is_some = true;
  decided->state.val.phase = PHASE(STOCKED);
  decided->state.val.updated_at = context->now;
  decided->state.val.body.tag = BODY(STOCK);
  decided->state.val.body.val.stock = *stock;
  decided->intents.ptr = intents;
  decided->intents.len = asked;
  return true;
}

bool arrive(const context_t *context, stock_t stock, const shop_orders_domain_arrived_t *event, transition_t *decided) {
  if (__builtin_add_overflow(stock.on_hand, event->quantity, &stock.on_hand)) stock.on_hand = UINT32_MAX;
  stock.place.is_some = true;
  stock.place.val = (shop_orders_domain_place_t){event->shelf, event->unit_weight_kg};
  return changed(context, &stock, NULL, decided);
}

bool reserve(const context_t *context, stock_t stock, const shop_orders_domain_reserve_t *request, transition_t *decided, rejection_t *why) {
  if (hold_of(&stock, request->order_id) < stock.holds.len) return reject_text(why, REJECTION(ALREADY_HELD), request->order_id);
  uint32_t left = available(&stock);
  shop_orders_domain_answered_t answer = {request->order_id, context->entity, {.tag = ANSWER(SHORT), .val.short_ = left}};
  if (stock.place.is_some && left >= request->quantity) {
    // A list without elements has no memory of its own to be enlarged.
    hold_t *holds = malloc((stock.holds.len + 1) * sizeof(hold_t));
    memcpy(holds, stock.holds.ptr, stock.holds.len * sizeof(hold_t));
    holds[stock.holds.len++] = (hold_t){request->order_id, request->quantity};
    stock.holds.ptr = holds;
    answer.answer.tag = ANSWER(HELD);
    answer.answer.val.held = stock.place.val;
  }
  return changed(context, &stock, &answer, decided);
}

bool settle(const context_t *context, stock_t stock, const shop_orders_domain_settle_t *settle, transition_t *decided, rejection_t *why) {
  size_t place = hold_of(&stock, settle->order_id);
  if (place == stock.holds.len) return reject_text(why, REJECTION(NO_HOLD), settle->order_id);
  uint32_t quantity = stock.holds.ptr[place].f1;
  stock.holds.len--;
  memmove(&stock.holds.ptr[place], &stock.holds.ptr[place + 1], (stock.holds.len - place) * sizeof(hold_t));
  // Held goods are on hand: a hold is only given for what is there.
  if (settle->settlement == SETTLEMENT(TAKEN)) stock.on_hand = less(stock.on_hand, quantity);
  return changed(context, &stock, NULL, decided);
}
