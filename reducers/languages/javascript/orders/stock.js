// The stock of one article: what is there, and how much of it each order holds.

import { rejection } from './rejection.js';

/** @typedef {import('shop:orders/orders@1.0.0').Context} Context */
/** @typedef {import('shop:orders/domain@1.0.0').Answer} Answer */
/** @typedef {import('shop:orders/domain@1.0.0').Intent} Intent */
/** @typedef {import('shop:orders/domain@1.0.0').Stock} Stock */
/** @typedef {import('shop:orders/domain@1.0.0').Transition} Transition */

/** As many as a u32 counts. */
const MOST = 0xffff_ffff;

/** The stock of an article that nobody has heard of yet. @returns {Stock} */
export function nothing() {
  return { onHand: 0, place: undefined, holds: [] };
}

/** Goods came in, and lie where they were put now. @param {Context} context @param {Stock} stock @param {import('shop:orders/domain@1.0.0').Arrived} event */
export function arrive(context, stock, { quantity, shelf, unitWeightKg }) {
  stock.onHand = Math.min(stock.onHand + quantity, MOST);
  stock.place = { shelf, unitWeightKg };
  return changed(context, stock, []);
}

/** An order asks for some of it. @param {Context} context @param {Stock} stock @param {import('shop:orders/domain@1.0.0').Reserve} request */
export function reserve(context, stock, { orderId, quantity }) {
  if (stock.holds.some(([order]) => order === orderId)) throw rejection({ tag: 'already-held', val: orderId });
  const left = available(stock);
  /** @type {Answer} */
  let answer = { tag: 'short', val: left };
  if (stock.place !== undefined && left >= quantity) {
    stock.holds.push([orderId, quantity]);
    answer = { tag: 'held', val: stock.place };
  }
  return changed(context, stock, [{ tag: 'answered', val: { orderId, stockId: context.entity, answer } }]);
}

/** An order takes what it holds, or lets it go. @param {Context} context @param {Stock} stock @param {import('shop:orders/domain@1.0.0').Settle} settle */
export function settle(context, stock, { orderId, settlement }) {
  const index = stock.holds.findIndex(([order]) => order === orderId);
  if (index < 0) throw rejection({ tag: 'no-hold', val: orderId });
  const [[, quantity]] = stock.holds.splice(index, 1);
  // Held goods are on hand: a hold is only given for what is there.
  if (settlement === 'taken') stock.onHand = Math.max(stock.onHand - quantity, 0);
  return changed(context, stock, []);
}

/** @param {Stock} stock */
function available(stock) {
  return stock.holds.reduce((left, [, held]) => Math.max(left - held, 0), stock.onHand);
}

/** @param {Context} context @param {Stock} stock @param {Intent[]} answers @returns {Transition} */
function changed(context, stock, answers) {
  const level = { tag: /** @type {const} */ ('set-level'), val: { stockId: context.entity, available: available(stock) } };
  return { state: { phase: 'stocked', updatedAt: context.now, body: { tag: 'stock', val: stock } }, intents: [...answers, level] };
}
