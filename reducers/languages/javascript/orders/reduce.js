// Which input goes where.

import * as archive from './archive.js';
import * as cancelling from './cancelling.js';
import { Deciding } from './order.js';
import * as payment from './payment.js';
import * as placing from './placing.js';
import { rejection } from './rejection.js';
import * as reserving from './reserving.js';
import * as shipping from './shipping.js';
import * as stock from './stock.js';

/** @typedef {import('shop:orders/orders@1.0.0').Context} Context */
/** @typedef {import('shop:orders/domain@1.0.0').State} State */
/** @typedef {import('shop:orders/domain@1.0.0').Input} Input */
/** @typedef {import('shop:orders/domain@1.0.0').Transition} Transition */

/**
 * Decides one input of one order, or of the stock of one article. What is thrown is the rejection.
 * @param {Context} context
 * @param {State | undefined} state
 * @param {Input} input
 * @returns {Transition}
 */
export function reduce(context, state, input) {
  switch (input.tag) {
    case 'placed':
      if (state === undefined) return placing.place(context, input.val);
      throw rejection({ tag: state.body.tag === 'order' ? 'already-placed' : 'not-an-order' });
    case 'arrived':
      return stock.arrive(context, stockOf(state), input.val);
    case 'reserve':
      return stock.reserve(context, stockOf(state), input.val);
    case 'settle':
      return stock.settle(context, stockOf(state), input.val);
    case 'withdrawn':
      return cancelling.withdraw(orderOf(context, state), input.val.reason);
    case 'answered':
      return reserving.answered(orderOf(context, state), input.val);
    case 'charged':
      return payment.charged(orderOf(context, state), input.val.result);
    case 'booked':
      return shipping.booked(orderOf(context, state), input.val.result);
    case 'timer':
      return timerDue(orderOf(context, state), input.val.name);
  }
}

/** @param {Context} context @param {State | undefined} state @returns {Deciding} */
function orderOf(context, state) {
  if (state === undefined) throw rejection({ tag: 'unknown' });
  if (state.body.tag !== 'order') throw rejection({ tag: 'not-an-order' });
  return new Deciding(context, state.phase, state.body.val, state.updatedAt);
}

/** Stock begins when it is first heard of, even if that is an order's wish. @param {State | undefined} state */
function stockOf(state) {
  if (state === undefined) return stock.nothing();
  if (state.body.tag !== 'stock') throw rejection({ tag: 'not-stock' });
  return state.body.val;
}

/** A timer that comes when what it waited for is over changes nothing. @param {Deciding} order @param {string} name */
function timerDue(order, name) {
  const { phase } = order;
  if (name === reserving.TIMER && phase === 'reserving') return cancelling.cancel(order, 'the stock did not answer in time');
  if (name === payment.TIMER && phase === 'charging') return cancelling.cancel(order, 'the payment did not come in time');
  if (name === archive.TIMER && (phase === 'shipped' || phase === 'cancelled')) return archive.end();
  return order.unchanged();
}
