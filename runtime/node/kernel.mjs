// The node kernel: a long-lived process, one per session, that runs cells with a connected
// Playwright.
//
//   node kernel.mjs --playwright <playwright-core directory> --acorn <acorn.mjs>
//
// It reads frames from fd 3 and writes frames to fd 4. The output of user code goes to fds 1 and 2.
// The kernel exits when fd 3 is closed.

import { createRequire } from 'node:module';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Binding } from './binding.mjs';
import { errorLine, hideKernelFrames, syntaxTrace, traceOf, writeStderr } from './errors.mjs';
import { Evaluator } from './evaluate.mjs';
import { EXIT_KERNEL_BROKEN, exitNow, openChannel } from './frames.mjs';
import { installModules } from './modules.mjs';
import { Rewriter } from './source.mjs';
import { bound, textOf } from './values.mjs';

const DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024;

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
process.argv.length = 1;

const playwright = createRequire(import.meta.url)(paths.playwright);
const evaluator = new Evaluator(rewriter);
const binding = new Binding(playwright, (statement) => evaluator.declare(statement));
installModules(paths.playwright);
hideKernelFrames();

// The kernel prints a late failure and continues, unless user code has a listener.
const on = process.on.bind(process);
const listeners = process.listeners.bind(process);
const lateFailures = ['uncaughtException', 'unhandledRejection'].map((event) => [event, (reason) => {
  if (listeners(event).length === 1) writeStderr(traceOf(reason));
}]);
// User code can remove all listeners. The next late failure would then end the process.
function watchLateFailures() {
  for (const [event, listener] of lateFailures) if (!listeners(event).includes(listener)) on(event, listener);
}
watchLateFailures();

async function run({ id, code, target, limit = DEFAULT_LIMIT_BYTES }) {
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
  const outcome = await evaluator.run(code, name);
  const frame = outcome.thrown ? failure(id, name, code, limit, outcome) : success(id, limit, outcome.value);
  evaluator.reset();
  watchLateFailures();
  channel.assertIntact();
  channel.send(frame);
}

function success(id, limit, value) {
  const { text, truncated } = bound(textOf(value, binding.isPlaywright), limit);
  return { op: 'done', id, value: text, error: null, truncated };
}

function failure(id, name, code, limit, { value, compile }) {
  const line = errorLine(value);
  writeStderr(compile ? syntaxTrace(line, name, code, compile.line, compile.column) : traceOf(value));
  const { text, truncated } = bound(line, limit);
  return { op: 'done', id, value: null, error: text, truncated };
}

serve = (frame) => {
  if (frame.op === 'attach') {
    binding.attach(frame.endpoint);
    rewriter();
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
