// Makes a component of a reducer: `node build.js SOURCE WIT OUTPUT`, where SOURCE exports `reduce` and WIT is a folder.
//
// The source passes the gate of eslint.config.js and the types of its contract before anything is made of it. The component
// imports nothing: all that the engine would ask of a system is left out, and guest/pure.js is taken in before the source.

import { spawnSync } from 'node:child_process';
import { copyFile, cp, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the engine would otherwise import: standard streams, random numbers, clocks, HTTP both ways. */
const NOTHING_OF_A_SYSTEM = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];

const here = dirname(fileURLToPath(import.meta.url));

/** A mistake of the author's, told without a trace of this program. */
class Mistake extends Error {}

try {
  await build(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Mistake ? error.message : error);
  process.exit(1);
}

/** @param {string[]} given */
async function build(given) {
  if (given.length !== 3) throw new Mistake('usage: node build.js SOURCE WIT OUTPUT');
  const [source, wit, output] = given.map((path) => resolve(path));
  const work = await mkdtemp(join(tmpdir(), 'purefold-build-'));
  try {
    await made(source, wit, join(work, 'component.wasm'), work);
    // All of it or nothing.
    await copyFile(join(work, 'component.wasm'), `${output}.part`);
    await rename(`${output}.part`, output);
  } finally {
    await rm(work, { recursive: true });
  }
}

/** @param {string} source @param {string} wit @param {string} output @param {string} work a folder to work in */
async function made(source, wit, output, work) {
  told('the source gate', 'eslint', ['guest', dirname(source)]);
  told('the types of the contract', 'jco', ['guest-types', wit, '--out-dir', join(work, 'types'), '--quiet']);
  await typed(work, source);

  // One folder with everything, since the engine resolves imports below one folder.
  const folder = relative(here, dirname(source));
  for (const part of ['guest', folder]) await cp(join(here, part), join(work, part), { recursive: true });
  await writeFile(join(work, 'entry.js'), `import './guest/pure.js';\nexport * from './${folder}/${basename(source)}';\n`);
  process.chdir(work);
  const { componentize } = await import('@bytecodealliance/componentize-js');
  const making = componentize({ sourcePath: join(work, 'entry.js'), witPath: wit, disableFeatures: NOTHING_OF_A_SYSTEM });
  const { component } = await making.catch((error) => {
    throw new Mistake(`${source} cannot be made a component:\n${error.message}`);
  });
  await writeFile(output, component);
}

/** Checks the source against the types in `work`. @param {string} work @param {string} source */
async function typed(work, source) {
  const declarations = await readdir(join(work, 'types'), { recursive: true });
  const files = [source, ...declarations.filter((file) => file.endsWith('.d.ts')).map((file) => join(work, 'types', file))];
  await writeFile(join(work, 'tsconfig.json'), JSON.stringify({ extends: join(here, 'tsconfig.json'), files }));
  told('the types', 'tsc', ['--project', join(work, 'tsconfig.json')]);
}

/** @param {string} what @param {string} tool @param {string[]} given */
function told(what, tool, given) {
  const run = spawnSync(join(here, 'node_modules/.bin', tool), given, { cwd: here, encoding: 'utf8' });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Mistake(`${what}:\n${run.stdout}${run.stderr}`);
}
