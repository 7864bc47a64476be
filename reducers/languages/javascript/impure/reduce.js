// Reaches for everything that a reducer must not have, by ways that neither the source gate nor the types see. Tests hold what
// comes of it: nothing of it answers.

/** What nobody would write who is not out to deceive. */
const engine = /** @type {any} */ (Object.assign(Object.create(globalThis), {}));
const clock = engine['Date'];

/** @type {Record<string, () => unknown>} */
const reaches = {
  'Date.now': () => clock['now'](),
  'new Date': () => new clock(),
  Date: () => clock(),
  'new Date by a date': () => new (Object.getPrototypeOf(new clock(0)).constructor)(),
  'new Date by Reflect': () => Reflect.construct(clock, []),
  'Math.random': () => engine['Math']['random'](),
  crypto: () => engine['crypto']['randomUUID'](),
  performance: () => engine['performance']['now'](),
  console: () => engine['console']['log']('told to nobody'),
  setTimeout: () => engine['setTimeout'](() => {}, 1),
  fetch: () => engine['fetch']('http://example.com'),
  File: () => new engine['File']([], 'now')['lastModified'],
  Event: () => new engine['Event']('now')['timeStamp'],
  WeakRef: () => new engine['WeakRef']({}),
  eval: () => engine['eval']('1 + 1'),
  Function: () => reaches['constructor']?.constructor('return 1')(),
};

const kept = { calls: 0n };

/**
 * @param {import('example:impure/impure@1.0.0').Context} _context
 * @param {import('example:impure/domain@1.0.0').State | undefined} _state
 * @param {import('example:impure/domain@1.0.0').Input} input
 * @returns {import('example:impure/domain@1.0.0').Transition}
 */
export function reduce(_context, _state, { val: { id, way, caught } }) {
  kept.calls += 1n;
  let text = '';
  try {
    text = `answered ${reaches[way]?.()}`;
  } catch (error) {
    if (!caught) throw error;
    text = `${error}`;
  }
  return { state: { calls: kept.calls }, intents: [{ tag: 'told', val: { id, text } }] };
}
