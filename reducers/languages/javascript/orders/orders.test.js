// Decisions tried by themselves: no WebAssembly takes part. That all of them are those of the reducer in Rust is tested on
// recorded events, in the sandbox.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { after, LAST } from '../guest/instant.js';
import { reduce } from './reduce.js';

const context = (entity) => ({ now: 1_000_000n, entity, sequence: 1n, eventId: 'e', correlationId: 'c', seed: [0n, 0n] });
const cases = ({ intents }) => intents.map(({ tag }) => tag);

function placed(change) {
  const line = { stockId: 'tea', quantity: 2, unitPrice: 999n };
  const order = { id: 'o', customer: 'Ada', lines: [line], currency: 'eur', handling: {}, paymentMethod: 'card', placedAt: 0n };
  return { tag: 'placed', val: { ...order, ...change } };
}

test('a placed order asks the stock for its lines', () => {
  const decided = reduce(context('o'), undefined, placed({ discount: 0.5 }));
  assert.equal(decided.state.body.val.total, 999n);
  assert.deepEqual(cases(decided), ['record-order', 'reserve', 'timer']);
});

test('what cannot be priced is rejected', () => {
  const rejected = (change, reason) => assert.throws(() => reduce(context('o'), undefined, placed(change)), (thrown) => (assert.deepEqual(thrown, reason), true));
  rejected({ lines: [] }, { tag: 'no-lines' });
  rejected({ discount: 1 }, { tag: 'bad-discount' });
  rejected({ discount: NaN }, { tag: 'bad-discount' });
  rejected({ lines: [{ stockId: 'tea', quantity: 2, unitPrice: 1n << 63n }] }, { tag: 'total-too-large' });
});

test('instants stop at the last one', () => {
  assert.equal(after(0n, 2n), 2_000_000n);
  assert.equal(after(LAST - 1n, 1n), LAST);
});
