// Arithmetic of instants: microseconds since the Unix epoch, as BigInt.

/** The last instant that has a text form: 9999-12-31T23:59:59.999999Z. */
export const LAST = 253_402_300_799_999_999n;

/**
 * So many seconds after `instant`, at most the last one.
 * @param {bigint} instant
 * @param {bigint} seconds
 * @returns {bigint}
 */
export function after(instant, seconds) {
  const sum = instant + seconds * 1_000_000n;
  return sum > LAST ? LAST : sum;
}
