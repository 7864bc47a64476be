/**
 * What failed, and how, for people to read. The failure's kind is written as JSON writes it.
 * @param {string} what
 * @param {import('shop:orders/domain@1.0.0').Failure} failure
 */
export function failed(what, failure) {
  return `${what} failed, ${failure.tag.replaceAll('-', '_')}: ${failure.val}`;
}
