// Placing an order: it is checked, priced, and asks each article's stock for its lines.

import { Deciding } from './order.js';
import { rejection } from './rejection.js';
import * as reserving from './reserving.js';

/** @typedef {import('shop:orders/domain@1.0.0').Line} Line */
/** @typedef {import('shop:orders/domain@1.0.0').Order} Order */

/** The most that an order may cost, in hundredths: every amount up to it is a Number without loss. */
const TOTAL_MAX = 1n << 53n;

/** The most lines of one order: each is an intent, of which a decision has 64 at most unless a manifest says otherwise. */
const LINES_MAX = 50;

/** The longest name of an article, in bytes of UTF-8: it is the key of its stock. */
const STOCK_ID_BYTES_MAX = 256;

/** How many seconds the stock may take to answer for every line. */
const RESERVING_TIMEOUT = 120n;

/**
 * @param {import('shop:orders/orders@1.0.0').Context} context
 * @param {import('shop:orders/domain@1.0.0').Placed} event
 */
export function place(context, event) {
  check(event.lines);
  /** @type {Order} */
  const placed = {
    customer: event.customer,
    lines: event.lines.map(({ stockId, quantity }) => ({ stockId, quantity, reservation: { tag: 'asked' } })),
    currency: event.currency,
    total: total(event.lines, event.discount),
    handling: event.handling,
    paymentMethod: event.paymentMethod,
    placedAt: event.placedAt,
    charge: undefined,
    cancelledBecause: undefined,
  };

  const order = new Deciding(context, 'reserving', placed, context.now);
  order.enter('reserving');
  for (const { stockId, quantity } of placed.lines) {
    order.ask({ tag: 'reserve', val: { stockId, orderId: order.id, quantity } });
  }
  order.wait(reserving.TIMER, RESERVING_TIMEOUT);
  return order.done();
}

/** @param {Line[]} lines */
function check(lines) {
  if (lines.length === 0) throw rejection({ tag: 'no-lines' });
  if (lines.length > LINES_MAX) throw rejection({ tag: 'too-many-lines', val: LINES_MAX });
  const seen = new Set();
  for (const { stockId, quantity } of lines) {
    if (stockId === '' || bytes(stockId) > STOCK_ID_BYTES_MAX) throw rejection({ tag: 'bad-stock-id' });
    if (quantity === 0) throw rejection({ tag: 'bad-quantity', val: stockId });
    if (seen.has(stockId)) throw rejection({ tag: 'line-twice', val: stockId });
    seen.add(stockId);
  }
}

/**
 * How many bytes a text takes in UTF-8.
 * @param {string} text
 */
function bytes(text) {
  let count = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x80) count += 1;
    else if (point < 0x800) count += 2;
    else if (point < 0x10000) count += 3;
    else count += 4;
  }
  return count;
}

/**
 * What the lines cost together after the discount, rounded to the nearest hundredth.
 * @param {Line[]} lines
 * @param {number | undefined} discount
 * @returns {bigint}
 */
function total(lines, discount) {
  const full = lines.reduce((sum, line) => sum + line.unitPrice * BigInt(line.quantity), 0n);
  if (full > TOTAL_MAX) throw rejection({ tag: 'total-too-large' });
  if (discount === undefined) return full;
  if (!(discount >= 0 && discount < 1)) throw rejection({ tag: 'bad-discount' });
  return BigInt(Math.round(Number(full) * (1 - discount)));
}
