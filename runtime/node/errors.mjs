// How a thrown value is told: one line for the answer's `error`, the trace for stderr. Hides the kernel's own frames.
// Must not know frames or Playwright's objects (only that its messages end in a "Call log:" part).

import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import { stripVTControlCharacters, types } from 'node:util';
import { show } from './values.mjs';

// User code may replace any of these.
const { Error } = globalThis;
const { from } = Buffer;
const { isNativeError } = types;
const { hasOwn, getPrototypeOf } = Object;
const { wait } = Atomics;
const napCell = new Int32Array(new SharedArrayBuffer(4));

const FD_STDERR = 2;
const EAGAIN_NAP_MS = 2;
const EAGAIN_NAPS = 5000;

const kernelFolder = new URL('.', import.meta.url).href;

/** Leaves the kernel, and what started it, out of every stack. A stack that is only ours stays whole. */
export function hideKernelFrames() {
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = (error, frames) => {
    const end = frames.findIndex((frame) => frame.getFileName() === 'node:inspector');
    const reach = end < 0 ? frames : frames.slice(0, end);
    const visible = reach.filter((frame) => !frame.getFileName()?.startsWith(kernelFolder));
    const chosen = end < 0 && visible.length === 0 ? frames : visible;
    return before(error, chosen);
  };
}

const isError = (value) => {
  try {
    return isNativeError(value) || value instanceof Error;
  } catch {
    return false;
  }
};

const withoutCallLog = (message) => {
  const at = message.indexOf('\nCall log:');
  return at < 0 ? message : message.slice(0, at);
};

// A subclass that sets no name is known by its class; bundled classes carry suffixes but set their name.
function nameOf(error) {
  const prototype = getPrototypeOf(error);
  const isNamed = hasOwn(error, 'name') || prototype === null || hasOwn(prototype, 'name');
  const name = isNamed ? error.name : error.constructor?.name || error.name;
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

/** `Name: message` of an exception; `Uncaught …` of anything else that was thrown. */
export function errorLine(thrown) {
  try {
    if (isError(thrown)) {
      const message = stripVTControlCharacters(withoutCallLog(`${thrown.message}`)).trimEnd();
      return message === '' ? nameOf(thrown) : `${nameOf(thrown)}: ${message}`;
    }
  } catch {
    // an error object with hostile accessors: shown like any other value
  }
  return `Uncaught ${stripVTControlCharacters(show(thrown))}`;
}

/** The trace for stderr, with its last newline. */
export function traceOf(thrown) {
  const shown = stripVTControlCharacters(show(thrown));
  if (!isError(thrown)) return `Uncaught ${shown}\n`;
  try {
    // Playwright's stacks begin with the bare message.
    const message = stripVTControlCharacters(`${thrown.message}`);
    if (message !== '' && shown.startsWith(message)) return `${nameOf(thrown)}: ${shown}\n`;
  } catch {
    // as it is, then
  }
  return `${shown}\n`;
}

/** A compile error as node shows it: place, source line, caret, message. `line` and `column` count from 0. */
export function syntaxTrace(message, name, code, line, column) {
  const text = code.split('\n')[line]?.replace(/\r$/, '');
  if (text === undefined || text.length > 500) return `${name}:${line + 1}:${column + 1}\n${message}\n`;
  const indent = text.slice(0, column).replace(/[^\t]/g, ' ');
  return `${name}:${line + 1}\n${text}\n${indent}^\n\n${message}\n`;
}

/** Writes to fd 2 itself, whatever user code did to process.stderr. Bounded; gives up silently. */
export function writeStderr(text) {
  let rest = from(text, 'utf8');
  let naps = 0;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(FD_STDERR, rest));
      naps = 0;
    } catch (error) {
      // A child that shares the pipe may have made it non-blocking: node has no poll(2), so look again shortly.
      if (error.code !== 'EAGAIN' || naps >= EAGAIN_NAPS) return;
      naps += 1;
      wait(napCell, 0, 0, EAGAIN_NAP_MS);
    }
  }
}
