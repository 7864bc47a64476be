// Taken in before a reducer, this leaves of the engine only what answers by its arguments alone.
//
// An engine that was built without clock and entropy still answers who asks for them: with the moment of the build, and with
// the same "random" numbers in every decision. Both look right and are not, so here they throw. What throws while the module
// is loaded ends the build; what throws in a decision is a fault.

/** The globals that stay: ECMAScript's own, without those that tell of time, entropy, code made at run time or the collector. */
const ADMITTED = new Set([
  'undefined', 'NaN', 'Infinity', 'globalThis',
  'Object', 'Array', 'Boolean', 'Number', 'BigInt', 'String', 'Symbol', 'RegExp', 'Math', 'JSON', 'Date',
  'Map', 'Set', 'WeakMap', 'WeakSet', 'Proxy', 'Reflect', 'Promise', 'Iterator',
  'ArrayBuffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array',
  'Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'TextEncoder', 'TextDecoder', 'structuredClone',
  'Error', 'AggregateError', 'EvalError', 'InternalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError',
  'isNaN', 'isFinite', 'parseInt', 'parseFloat', 'decodeURI', 'encodeURI', 'decodeURIComponent', 'encodeURIComponent',
]);

const CLOCK = 'take the time from context.now';

/** @param {string} what @param {string} instead @returns {never} */
function impure(what, instead) {
  throw new TypeError(`${what} has no place in a reducer: ${instead}`);
}

for (const name of Object.getOwnPropertyNames(globalThis)) {
  // Strict mode: what cannot be taken out ends the build.
  if (!ADMITTED.has(name)) delete (/** @type {any} */ (globalThis)[name]);
}

Math.random = () => impure('Math.random', 'make what must be random from context.seed');

const WithClock = Date;
WithClock.now = () => impure('Date.now', CLOCK);
const WithoutClock = new Proxy(WithClock, {
  construct(target, values, made) {
    return values.length === 0 ? impure('new Date()', CLOCK) : Reflect.construct(target, values, made);
  },
  apply: () => impure('Date()', CLOCK),
});
WithClock.prototype.constructor = WithoutClock;
globalThis.Date = WithoutClock;

// Functions lead to the constructors that make code of text.
for (const made of [function () {}, function* () {}, async function () {}, async function* () {}]) {
  Object.defineProperty(Object.getPrototypeOf(made), 'constructor', { value: undefined });
}
Object.freeze(Math);
Object.freeze(WithClock);
