// Shipping what is held and paid for.

#include "order.h"

typedef shop_orders_domain_parcel_t parcel_t;

bool ship(deciding_t *order, transition_t *decided) {
  enter(order, PHASE(SHIPPING));
  parcel_t *parcels = malloc(order->order.lines.len * sizeof(parcel_t));
  size_t count = 0;
  double weight_kg = 0;
  for (size_t i = 0; i < order->order.lines.len; i++) {
    const order_line_t *line = &order->order.lines.ptr[i];
    if (line->reservation.tag != RESERVATION(HELD)) continue;
    parcels[count++] = (parcel_t){line->stock_id, line->quantity, line->reservation.val.held};
    weight_kg += (double)line->quantity * (double)line->reservation.val.held.unit_weight_kg;
  }
  ask(order, INTENT(BOOK_SHIPMENT))->val.book_shipment = (shop_orders_domain_book_shipment_t){
      .order_id = order->context->entity,
      .customer = order->order.customer,
      .handling = order->order.handling,
      .weight_kg = weight_kg,
      .parcels = {parcels, count},
      .booked_at = order->context->now,
  };
  return done(order, decided);
}

bool booked(deciding_t *order, const shop_orders_domain_result_void_failure_t *result, transition_t *decided, rejection_t *why) {
  if (order->phase != PHASE(SHIPPING)) return reject_phase(why, REJECTION(UNEXPECTED_OUTCOME), order->phase);
  if (result->is_err) return cancel(order, failed("the shipment", &result->val.err), decided);
  enter(order, PHASE(SHIPPED));
  settle_all(order, SETTLEMENT(TAKEN));
  ask(order, INTENT(ORDER_SHIPPED))->val.order_shipped = (shop_orders_domain_order_shipped_t){
      order->context->entity, order->order.customer, order->order.total, order->order.currency, order->context->now};
  wait_for(order, ARCHIVE_TIMER, ARCHIVE_SECONDS);
  return done(order, decided);
}
