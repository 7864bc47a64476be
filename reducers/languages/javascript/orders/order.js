// An order under decision: what it was, what it becomes, and what it asks for on the way.

import { after } from '../guest/instant.js';

/** @typedef {import('shop:orders/domain@1.0.0').Intent} Intent */
/** @typedef {import('shop:orders/domain@1.0.0').Order} Order */
/** @typedef {import('shop:orders/domain@1.0.0').Phase} Phase */
/** @typedef {import('shop:orders/domain@1.0.0').Transition} Transition */

export class Deciding {
  /**
   * An order as it was left at `updatedAt`.
   * @param {import('shop:orders/orders@1.0.0').Context} context
   * @param {Phase} phase
   * @param {Order} order
   * @param {bigint} updatedAt
   */
  constructor(context, phase, order, updatedAt) {
    this.context = context;
    this.phase = phase;
    this.order = order;
    this.updatedAt = updatedAt;
    /** @type {Intent[]} */
    this.intents = [];
  }

  /** The order's id: the key of its entity. */
  get id() {
    return this.context.entity;
  }

  /** @param {Intent} intent */
  ask(intent) {
    this.intents.push(intent);
  }

  /** Sets the timer `name`, so many seconds from now. @param {string} name @param {bigint} seconds */
  wait(name, seconds) {
    this.ask({ tag: 'timer', val: { name, due: after(this.context.now, seconds) } });
  }

  /** @param {string} name */
  stopWaiting(name) {
    this.ask({ tag: 'timer-cancel', val: { name } });
  }

  /** Enters `phase`, and asks for the row that shows it. @param {Phase} phase */
  enter(phase) {
    this.phase = phase;
    const { customer, currency, total, handling, lines, charge, cancelledBecause, placedAt } = this.order;
    this.ask({
      tag: 'record-order',
      val: {
        orderId: this.id,
        customer,
        phase,
        currency,
        total,
        handling,
        // As they are now: later changes of the order are not meant.
        lines: lines.map((line) => ({ ...line })),
        chargeId: charge?.chargeId,
        cancelledBecause,
        placedAt,
        updatedAt: this.context.now,
      },
    });
  }

  /** The decision. @returns {Transition} */
  done() {
    return this.#left(this.context.now, this.intents);
  }

  /** The decision that there is nothing to do. Only for an order that was not touched. @returns {Transition} */
  unchanged() {
    return this.#left(this.updatedAt, []);
  }

  /** @param {bigint} updatedAt @param {Intent[]} intents @returns {Transition} */
  #left(updatedAt, intents) {
    return { state: { phase: this.phase, updatedAt, body: { tag: 'order', val: this.order } }, intents };
  }
}
