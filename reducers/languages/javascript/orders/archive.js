// A finished order stays for a while, for what may still come about it, and then ends.

/** How long a finished order stays: thirty days, in seconds. */
export const STAY = 30n * 24n * 60n * 60n;

/** The timer's name. */
export const TIMER = 'archive';

/** The order ends; what it was stands in its row and in the journal. @returns {import('shop:orders/domain@1.0.0').Transition} */
export function end() {
  return { state: undefined, intents: [] };
}
