// Reads the clock while it is loaded: the moment of the build would be in every decision.

const clock = /** @type {any} */ (Object.create(globalThis))['Date'];
const began = clock['now']();

/** @returns {import('example:impure/domain@1.0.0').Transition} */
export function reduce() {
  return { state: { calls: BigInt(began) }, intents: [] };
}
