// The node kernel: a long-lived process, one per session, that runs cells with a connected
// Playwright.
//
//   node kernel.mjs --playwright <playwright-core directory> --acorn <acorn.mjs>
//
// It reads frames from fd 3 and writes frames to fd 4. The output of user code goes to fds 1 and 2.
// The kernel exits when fd 3 is closed.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Binding } from './binding.mjs';
import { Deadline } from './deadline.mjs';
import { errorLine, hideKernelFrames, syntaxTrace, traceOf, writeStderr } from './errors.mjs';
import { Evaluator } from './evaluate.mjs';
import { Exits } from './exits.mjs';
import { EXIT_KERNEL_BROKEN, exitNow, openChannel } from './frames.mjs';
import { SharedBrowser } from './launch.mjs';
import { languageHint, runtimeHint } from './language_hint.mjs';
import { SCRIPT_NAME, installModules } from './modules.mjs';
import { PendingCalls } from './pending.mjs';
import { Rewriter } from './source.mjs';
import { bound, textOf } from './values.mjs';

// Only the kernel loads from the compile cache. Programs that code starts have none.
delete process.env.NODE_COMPILE_CACHE;
process.env.NODE_DISABLE_COMPILE_CACHE = '1';

const DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024;
const LOST = 'the variables of Node are lost';
const { setImmediate } = globalThis;

const { values: paths } = parseArgs({ options: { playwright: { type: 'string' }, acorn: { type: 'string' } } });

let loadingRewriter;
const rewriter = () => {
  loadingRewriter ??= import(pathToFileURL(paths.acorn).href).then((acorn) => new Rewriter(acorn));
  return loadingRewriter;
};

const waiting = [];
let serve = (frame) => waiting.push(frame);
const channel = openChannel((frame) => serve(frame));

// With blocking pipes, all output is in the pipe before the kernel reports the end of a cell, and
// before process.exit.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);
// Scripts compare it with their own name to find out that they were started directly.
process.argv.splice(1, Infinity, join(process.cwd(), SCRIPT_NAME));

const require = createRequire(import.meta.url);
const shared = new SharedBrowser(writeStderr);
// Playwright is shared when it is loaded.
require('./launches.cjs').use(shared);
const playwright = require(paths.playwright);
const evaluator = new Evaluator(rewriter);
const exits = new Exits(writeStderr);
exits.followListeners(playwrightEmitter(playwright));
const deadline = new Deadline();
const binding = new Binding(playwright, shared, deadline, (statement) => evaluator.declare(statement));
const pending = new PendingCalls(playwright.chromium._instrumentation, binding.locatorText);
installModules(paths.playwright);
hideKernelFrames();

// Returns the prototype whose methods add and call the listeners of all Playwright objects.
function playwrightEmitter({ chromium }) {
  return Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(chromium)));
}

// The kernel prints a late failure and continues, unless user code has a listener.
const on = process.on.bind(process);
const listeners = process.listeners.bind(process);
const lateFailures = ['uncaughtException', 'unhandledRejection'].map((event) => [event, (reason) => {
  if (listeners(event).length === 1 && !exits.isExit(reason)) writeStderr(traceOf(reason));
}]);
// User code can remove all listeners. The next late failure would then end the process.
function watchLateFailures() {
  for (const [event, listener] of lateFailures) if (!listeners(event).includes(listener)) on(event, listener);
}
watchLateFailures();

// Code that uses what most code uses, so that the first run of a client is fast. It leaves nothing
// behind.
const WARM_UP = 'await page.title()';

// Connects to the browser.
async function attach({ endpoint, warm_up: isWarm }) {
  const connecting = binding.attach(endpoint);
  const loading = rewriter();
  if (!isWarm) return;
  await connecting;
  await binding.renew(null);
  (await loading).shape(WARM_UP);
  const { value: outcome } = await exits.run(0, () => evaluator.run(WARM_UP, 'hearth.js', () => binding.objects));
  evaluator.reset();
  if (outcome.thrown) throw outcome.value;
  channel.send({ op: 'connected' });
}

async function run(frame) {
  const { id, left_ms: leftMs, endpoint } = frame;
  binding.rename(endpoint);
  deadline.begin(leftMs, () => channel.send({ op: 'pending', id, calls: pending.describe() }));
  try {
    await runCell(frame);
  } finally {
    deadline.end();
  }
}

async function runCell({ id, code, target, limit = DEFAULT_LIMIT_BYTES }) {
  if (!binding.isFresh()) {
    try {
      await binding.renew(target);
    } catch (error) {
      channel.send({ op: 'failed', id, message: bound(error.message, DEFAULT_LIMIT_BYTES).text });
      return;
    }
  }
  watchLateFailures();
  channel.send({ op: 'started', id });
  const name = `execute-${id}.js`;
  // V8 accepts a byte-order mark only as white space, so a hashbang after it is an error.
  const source = code.replace(/^\ufeff/, '');
  const run = await exits.run(id, () => evaluator.run(source, name, () => binding.objects));
  const { value: outcome, exitCode = 0, isOver = true } = run;
  if (!isOver) writeStderr(`process.exit(${exitCode}) ended the process, because code of the call was still running: ${LOST}\n`);
  const frame = outcome === undefined ? left(id, exitCode)
    : outcome.thrown ? failure(id, name, source, limit, outcome) : success(id, limit, outcome.value, exitCode);
  watchLateFailures();
  channel.assertIntact();
  // The process is about to exit, so another kernel has to run the next cell.
  if (!isOver) serve = () => {};
  channel.send({ ...frame, leaving: !isOver });
  // The caller does not wait for it.
  evaluator.reset();
  // The frame is in the pipe by then.
  if (!isOver) setImmediate(() => exits.leave(exitCode));
}

function left(id, exit) {
  return { op: 'done', id, value: null, error: null, exit, truncated: false };
}

function success(id, limit, value, exit) {
  const { text, truncated } = bound(textOf(value, binding.isPlaywright), limit);
  return { op: 'done', id, value: text, error: null, exit, truncated };
}

function failure(id, name, code, limit, { value, compile }) {
  const message = errorLine(value);
  const hint = compile ? languageHint(code) : runtimeHint(code, message, binding.objects);
  const line = hint === undefined ? message : `${message} ${hint}`;
  const trace = hint === undefined ? traceOf(value) : `${traceOf(value)}${hint}\n`;
  writeStderr(compile ? syntaxTrace(line, name, code, compile.line, compile.column) : trace);
  const { text, truncated } = bound(line, limit);
  return { op: 'done', id, value: null, error: text, exit: 1, truncated };
}

serve = (frame) => {
  if (frame.op === 'attach') {
    // The first run reports a failure. A kernel that should be warm is not used then.
    attach(frame).catch(() => {
      if (frame.warm_up) exitNow(EXIT_KERNEL_BROKEN);
    });
  } else if (frame.op === 'run') {
    // Exit on an internal error. Otherwise the runner would wait; it replaces a kernel that has
    // exited.
    run(frame).catch((error) => {
      writeStderr(traceOf(error));
      exitNow(EXIT_KERNEL_BROKEN);
    });
  }
};
channel.send({ op: 'ready' });
waiting.splice(0).forEach((frame) => serve(frame));
