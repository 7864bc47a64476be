// Waiting for the stock of every line: once all is held, the payment; once anything is short, the end.

import * as cancelling from './cancelling.js';
import * as payment from './payment.js';
import { rejection } from './rejection.js';

/** @typedef {import('./order.js').Deciding} Deciding */
/** @typedef {import('shop:orders/domain@1.0.0').Settlement} Settlement */

/** The timer's name. */
export const TIMER = 'reserving';

/** The stock of one line answered. @param {Deciding} order @param {import('shop:orders/domain@1.0.0').Answered} answered */
export function answered(order, { stockId, answer }) {
  const { lines } = order.order;
  const line = lines.find((line) => line.stockId === stockId && line.reservation.tag === 'asked');
  if (line === undefined) throw rejection({ tag: 'unexpected-answer', val: stockId });
  line.reservation = answer;

  if (order.phase !== 'reserving') {
    // The order was cancelled before this answer came: what it holds goes back.
    if (answer.tag === 'held') settle(order, stockId, 'released');
    return order.done();
  }
  if (answer.tag === 'short') return cancelling.cancel(order, `not enough ${stockId}`);
  if (lines.some((line) => line.reservation.tag === 'asked')) return order.done();
  order.stopWaiting(TIMER);
  return payment.charge(order);
}

/** Tells the stock of every line that is held how the reservation ended. @param {Deciding} order @param {Settlement} settlement */
export function settleAll(order, settlement) {
  for (const line of order.order.lines) {
    if (line.reservation.tag === 'held') settle(order, line.stockId, settlement);
  }
}

/** @param {Deciding} order @param {string} stockId @param {Settlement} settlement */
function settle(order, stockId, settlement) {
  order.ask({ tag: 'settle', val: { stockId, orderId: order.id, settlement } });
}
