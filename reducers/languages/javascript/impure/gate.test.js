// What the source gate says of what a reducer must not name, and what becomes of a source that it does not see through.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ESLint } from 'eslint';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const eslint = new ESLint({ cwd: root });

/** What the gate says of a line in a reducer. @param {string} line */
async function said(line) {
  const [{ messages }] = await eslint.lintText(`export function reduce() {\n  ${line}\n}\n`, { filePath: join(root, 'orders/any.js') });
  return messages.map(({ line, message }) => `${line}: ${message}`).join('\n');
}

const REFUSED = {
  'return Date.now();': 'context.now',
  'return new Date();': 'context.now',
  'return new Date;': 'context.now',
  'return Date();': 'context.now',
  'return performance.now();': 'context.now',
  'return Math.random();': 'context.seed',
  'return crypto.randomUUID();': 'context.seed',
  'return globalThis.crypto;': 'context.seed',
  'setTimeout(reduce, 10);': 'timer',
  'return fetch("http://example.com");': 'intent',
  'console.log("hello");': 'intents',
  'return process.env.HOME;': 'input or the state',
  'return eval("1");': 'run time',
  'return new Function("return 1");': 'run time',
  'return new WeakRef({});': 'garbage collector',
  // The gate cannot be talked out of it.
  'return Date.now(); // eslint-disable-line': 'context.now',
};

for (const [line, instead] of Object.entries(REFUSED)) {
  test(`refused: ${line}`, async () => {
    const found = await said(line);
    assert.match(found, /^2: /, 'the line is named');
    assert.ok(found.includes(instead), `${found} names what to use instead: ${instead}`);
  });
}

test('refused: a variable that would have to last', async () => {
  const [{ messages }] = await eslint.lintText('let calls = 0;\nexport const reduce = () => calls++;\n', { filePath: join(root, 'orders/any.js') });
  assert.deepEqual(messages.map(({ line, message }) => [line, message.includes('keep it in the state')]), [[1, true]]);
});

for (const line of ['return new Date(0).toISOString();', 'return Math.max(1, 2);', 'return Date.UTC(2026, 1);', 'return JSON.stringify({});']) {
  test(`admitted: ${line}`, async () => assert.equal(await said(line), ''));
}

/** Builds one of the sources that the gate does not see through. @param {string} source @param {string} wit */
function built(source, wit) {
  const folder = mkdtempSync(join(tmpdir(), 'purefold-gate-'));
  try {
    const run = spawnSync(process.execPath, ['build.js', source, wit, join(folder, 'made.wasm')], { cwd: root, encoding: 'utf8' });
    return { status: run.status, told: run.stderr, left: readdirSync(folder) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a clock that is read while the source is loaded ends the build', () => {
  const { status, told, left } = built('impure/while-loading.js', 'impure/wit');
  assert.equal(status, 1);
  assert.match(told, /Date\.now has no place in a reducer: take the time from context\.now/);
  assert.match(told, /while-loading\.js:4/, 'the line is named');
  assert.deepEqual(left, [], 'nothing is left that could be taken for a component');
});
