// Formats thrown values: one line for `error` in the response, and the stack trace for stderr.
// Hides the kernel's stack frames.
//
// Independent of protocol frames and of Playwright's objects, except for the "Call log:" part at
// the end of Playwright's messages.

import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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

const kernelDir = new URL('.', import.meta.url).href;
// CommonJS modules are named by their paths.
const kernelPath = fileURLToPath(kernelDir);

/**
 * Removes the kernel, and the code that started it, from every stack. A stack with only kernel
 * frames is kept.
 */
export function hideKernelFrames() {
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = (error, frames) => {
    const end = frames.findIndex((frame) => frame.getFileName() === 'node:inspector');
    const reach = end < 0 ? frames : frames.slice(0, end);
    const visible = reach.filter((frame) => {
      const name = frame.getFileName();
      return !name?.startsWith(kernelDir) && !name?.startsWith(kernelPath);
    });
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

// Uses the class name of a subclass that sets no name. Bundled classes have suffixes, but set their
// name.
function nameOf(error) {
  const prototype = getPrototypeOf(error);
  const isNamed = hasOwn(error, 'name') || prototype === null || hasOwn(prototype, 'name');
  const name = isNamed ? error.name : error.constructor?.name || error.name;
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

/** Returns `Name: message` for an error, and `Uncaught …` for any other thrown value. */
export function errorLine(thrown) {
  try {
    if (isError(thrown)) {
      const message = stripVTControlCharacters(withoutCallLog(`${thrown.message}`)).trimEnd();
      return message === '' ? nameOf(thrown) : `${nameOf(thrown)}: ${message}`;
    }
  } catch {
    // An accessor of the error threw. Show the error like any other value.
  }
  return `Uncaught ${stripVTControlCharacters(show(thrown))}`;
}

/** Returns the stack trace for stderr, with a trailing newline. */
export function traceOf(thrown) {
  const shown = stripVTControlCharacters(show(thrown));
  if (!isError(thrown)) return `Uncaught ${shown}\n`;
  try {
    // Playwright's stacks start with the message, without the name.
    const message = stripVTControlCharacters(`${thrown.message}`);
    if (message !== '' && shown.startsWith(message)) return `${nameOf(thrown)}: ${shown}\n`;
  } catch {
    // Return the text unchanged.
  }
  return `${shown}\n`;
}

/**
 * Formats a syntax error as node does: position, source line, caret, message. `line` and `column`
 * count from 0.
 */
export function syntaxTrace(message, name, code, line, column) {
  const text = code.split('\n')[line]?.replace(/\r$/, '');
  if (text === undefined || text.length > 500) return `${name}:${line + 1}:${column + 1}\n${message}\n`;
  const indent = text.slice(0, column).replace(/[^\t]/g, ' ');
  return `${name}:${line + 1}\n${text}\n${indent}^\n\n${message}\n`;
}

/**
 * Writes to fd 2 directly, because user code may have replaced process.stderr. Gives up silently
 * after a while.
 */
export function writeStderr(text) {
  let rest = from(text, 'utf8');
  let naps = 0;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(FD_STDERR, rest));
      naps = 0;
    } catch (error) {
      // A child process that shares the pipe may have made it non-blocking. Node has no poll(2), so
      // retry.
      if (error.code !== 'EAGAIN' || naps >= EAGAIN_NAPS) return;
      naps += 1;
      wait(napCell, 0, 0, EAGAIN_NAP_MS);
    }
  }
}
