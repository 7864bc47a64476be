// The source gate of reducers in JavaScript: what a reducer must not name, with its line and what to use instead. The same is
// taken out of the engine by guest/pure.js, so that what the gate does not see throws instead of answering.

const TIME = 'take the time from `context.now`';
const ENTROPY = 'make what must be random from `context.seed`';
const WORLD = 'emit an intent: an effect does it, its outcome comes back as an input';
const WAIT = 'emit a `timer` intent: it comes back as an input when it is due';
const NOBODY = 'nobody reads it: return what is to be told as intents';

const globals = {
  crypto: ENTROPY,
  performance: TIME,
  fetch: WORLD,
  XMLHttpRequest: WORLD,
  WebSocket: WORLD,
  process: 'put what differs from place to place into the input or the state',
  setTimeout: WAIT,
  setInterval: WAIT,
  setImmediate: WAIT,
  queueMicrotask: 'a decision waits for nothing',
  console: NOBODY,
  eval: 'code that is made at run time cannot be read by anybody',
  Function: 'code that is made at run time cannot be read by anybody',
  WeakRef: 'what it holds depends on the garbage collector',
  FinalizationRegistry: 'what it does depends on the garbage collector',
};

export default [
  {
    files: ['**/*.js'],
    ignores: ['guest/pure.js', '*.js', '**/*.test.js'],
    linterOptions: { noInlineConfig: true },
    rules: {
      'no-restricted-globals': ['error', ...Object.entries(globals).map(([name, message]) => ({ name, message }))],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: TIME },
        { object: 'Math', property: 'random', message: ENTROPY },
        ...Object.keys(globals).map((property) => ({ object: 'globalThis', property, message: globals[property] })),
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: `\`new Date()\` reads the clock: ${TIME}` },
        { selector: 'CallExpression[callee.name="Date"]', message: `\`Date()\` reads the clock: ${TIME}` },
        { selector: 'ImportExpression', message: 'import what you need at the top' },
        { selector: 'AwaitExpression', message: 'a decision waits for nothing: what has to be waited for is an intent' },
        // Each decision begins with the variables as they were built: what is kept in one is lost.
        { selector: 'Program > VariableDeclaration[kind!="const"]', message: 'nothing lasts from one decision to the next: keep it in the state' },
      ],
    },
  },
];
