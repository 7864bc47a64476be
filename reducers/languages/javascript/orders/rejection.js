/** @typedef {import('shop:orders/domain@1.0.0').Rejection} Rejection */

/**
 * What to throw: nothing but its type is checked.
 * @param {Rejection} reason
 */
export function rejection(reason) {
  return reason;
}
