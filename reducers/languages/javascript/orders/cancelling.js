// Taking back: whatever the order holds is released, whatever it paid is refunded.

import * as archive from './archive.js';
import * as payment from './payment.js';
import { rejection } from './rejection.js';
import * as reserving from './reserving.js';

/** @typedef {import('./order.js').Deciding} Deciding */

/** The customer withdraws; a shipment under way is not called back. @param {Deciding} order @param {string} reason */
export function withdraw(order, reason) {
  if (order.phase === 'reserving' || order.phase === 'charging') return cancel(order, `withdrawn: ${reason}`);
  throw rejection({ tag: 'too-late', val: order.phase });
}

/**
 * Ends the order without a shipment. A charge that is still under way is refunded when it comes to light.
 * @param {Deciding} order
 * @param {string} reason
 */
export function cancel(order, reason) {
  const timers = { reserving: reserving.TIMER, charging: payment.TIMER };
  const timer = order.phase === 'reserving' || order.phase === 'charging' ? timers[order.phase] : undefined;
  order.order.cancelledBecause = reason;
  order.enter('cancelled');
  reserving.settleAll(order, 'released');
  const { customer, charge } = order.order;
  if (charge !== undefined) payment.refund(order, charge, reason);
  order.ask({ tag: 'order-cancelled', val: { orderId: order.id, customer, reason, cancelledAt: order.context.now } });
  if (timer !== undefined) order.stopWaiting(timer);
  order.wait(archive.TIMER, archive.STAY);
  return order.done();
}
