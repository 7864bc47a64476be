// Charging the customer. A charge is only known once its receipt is here: wherever it may have happened unseen, it is refunded.

import * as cancelling from './cancelling.js';
import { failed } from './failure.js';
import { rejection } from './rejection.js';
import * as shipping from './shipping.js';

/** @typedef {import('./order.js').Deciding} Deciding */
/** @typedef {import('shop:orders/domain@1.0.0').ChargeReceipt} ChargeReceipt */
/** @typedef {import('shop:orders/domain@1.0.0').Failure} Failure */

/** The timer's name. */
export const TIMER = 'payment';

/** How many seconds a charge may take before the order is given up. */
const TIMEOUT = 15n * 60n;

/** Asks for the order's total. @param {Deciding} order */
export function charge(order) {
  order.enter('charging');
  const { paymentMethod, total, currency } = order.order;
  order.ask({ tag: 'charge', val: { orderId: order.id, paymentMethod, amount: total, currency } });
  order.wait(TIMER, TIMEOUT);
  return order.done();
}

/** The charge concluded. @param {Deciding} order @param {import('shop:orders/domain@1.0.0').Charged['result']} result */
export function charged(order, result) {
  switch (order.phase) {
    case 'charging':
      return result.tag === 'ok' ? paid(order, result.val) : notPaid(order, result.val);
    // The order was given up meanwhile: whatever was charged goes back.
    case 'cancelled':
      if (result.tag === 'ok') {
        order.order.charge = result.val;
        refund(order, result.val, 'the order was cancelled before the charge was known');
      } else if (mayHaveHappened(result.val)) {
        refund(order, undefined, 'the order was cancelled and the charge may have happened');
      }
      return order.done();
    default:
      throw rejection({ tag: 'unexpected-outcome', val: order.phase });
  }
}

/** @param {Deciding} order @param {ChargeReceipt} receipt */
function paid(order, receipt) {
  order.order.charge = receipt;
  if (receipt.amount !== order.order.total) return cancelling.cancel(order, 'another amount was charged than was asked for');
  order.stopWaiting(TIMER);
  return shipping.ship(order);
}

/** @param {Deciding} order @param {Failure} failure */
function notPaid(order, failure) {
  const reason = failed('the charge', failure);
  if (mayHaveHappened(failure)) refund(order, undefined, reason);
  return cancelling.cancel(order, reason);
}

/**
 * Asks for the money to go back: the charge of the receipt, or whatever was charged for the order.
 * @param {Deciding} order
 * @param {ChargeReceipt | undefined} receipt
 * @param {string} reason
 */
export function refund(order, receipt, reason) {
  const { total, currency } = order.order;
  const amount = receipt?.amount ?? total;
  order.ask({ tag: 'refund', val: { orderId: order.id, chargeId: receipt?.chargeId, amount, currency, reason } });
}

/** @param {Failure} failure */
function mayHaveHappened(failure) {
  return failure.tag === 'unknown' || failure.tag === 'unreadable-reply';
}
