// Shipping what is held and paid for.

import * as archive from './archive.js';
import * as cancelling from './cancelling.js';
import { failed } from './failure.js';
import { rejection } from './rejection.js';
import * as reserving from './reserving.js';

/** @typedef {import('./order.js').Deciding} Deciding */

/** Asks for the shipment. @param {Deciding} order */
export function ship(order) {
  order.enter('shipping');
  const { customer, handling, lines } = order.order;
  const parcels = lines.flatMap(({ stockId, quantity, reservation }) =>
    reservation.tag === 'held' ? [{ stockId, quantity, place: reservation.val }] : [],
  );
  const weightKg = parcels.reduce((sum, { quantity, place }) => sum + quantity * place.unitWeightKg, 0);
  const bookedAt = order.context.now;
  order.ask({ tag: 'book-shipment', val: { orderId: order.id, customer, handling, weightKg, parcels, bookedAt } });
  return order.done();
}

/**
 * The shipment is booked: the goods leave. Or it is not, and everything is taken back.
 * @param {Deciding} order
 * @param {import('shop:orders/domain@1.0.0').Booked['result']} result
 */
export function booked(order, result) {
  if (order.phase !== 'shipping') throw rejection({ tag: 'unexpected-outcome', val: order.phase });
  if (result.tag === 'err') return cancelling.cancel(order, failed('the shipment', result.val));
  order.enter('shipped');
  reserving.settleAll(order, 'taken');
  const { customer, total, currency } = order.order;
  order.ask({ tag: 'order-shipped', val: { orderId: order.id, customer, total, currency, shippedAt: order.context.now } });
  order.wait(archive.TIMER, archive.STAY);
  return order.done();
}
