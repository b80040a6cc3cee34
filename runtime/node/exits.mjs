// Gives process.exit() a meaning in a process that outlives the code: it ends the cell that calls
// it, and the kernel continues. Code of an earlier cell, such as a timer, cannot end a later one.
//
// Independent of frames and of evaluation.

import { AsyncLocalStorage } from 'node:async_hooks';
import process from 'node:process';
import { traceOf } from './errors.mjs';

// User code may replace any of these.
const { Error, Promise, Number, Set, setTimeout } = globalThis;
const custom = Symbol.for('nodejs.util.inspect.custom');
const { apply, defineProperty } = Reflect;
/** Time in which a cell that exits must end. Otherwise its code would run on after the call. */
const UNWIND_LIMIT_MS = 100;

/** Thrown by process.exit() to leave the caller. */
class Exit {
  constructor(code) {
    this.code = code;
    defineProperty(this, custom, { value: () => `process.exit(${code})` });
  }

  toString() {
    return `process.exit(${this.code})`;
  }
}

export class Exits {
  #cells = new AsyncLocalStorage();
  #exited = new Set(); // cells that called process.exit()
  #running;
  #ask;
  #report;
  #reallyExit = process.exit.bind(process);

  /** `report(text)` writes to stderr. */
  constructor(report) {
    this.#report = report;
    process.exit = (code) => this.#exit(code);
    for (const stream of [process.stdout, process.stderr]) this.#mute(stream);
    this.#guardListeners();
  }

  /**
   * Runs `action` as cell `id`. Returns `{ value }` with its value, or `{ exitCode, isOver }` if
   * the cell called process.exit(). If its code did not end then, `isOver` is false.
   */
  async run(id, action) {
    this.#running = id;
    process.exitCode = undefined;
    const asked = new Promise((resolve) => { this.#ask = resolve; });
    const ended = this.#cells.run(id, action).then((value) => ({ value }));
    try {
      const first = await Promise.race([ended, asked]);
      if (this.#exited.has(id)) {
        const exitCode = await asked;
        const late = new Promise((resolve) => { setTimeout(resolve, UNWIND_LIMIT_MS); });
        return { exitCode, isOver: await Promise.race([ended, late]) !== undefined };
      }
      return process.exitCode === undefined ? first : { ...first, exitCode: codeOf(process.exitCode) };
    } finally {
      this.#running = undefined;
      process.exitCode = undefined;
    }
  }

  /** Returns whether `thrown` is how process.exit() leaves its caller. */
  isExit = (thrown) => thrown instanceof Exit;

  /** Ends the process, after the handlers that user code has registered. */
  leave(code) {
    this.#reallyExit(code);
  }

  /**
   * Runs the listeners of Playwright's objects as part of the cell that added them. Node does this
   * only for listeners that it calls itself. `prototype` is the one of Playwright's emitters.
   */
  followListeners(prototype) {
    const { _addListener: add, _callHandler: call } = prototype;
    if (typeof add !== 'function' || typeof call !== 'function') return;
    const cells = this.#cells;
    const owners = new WeakMap();
    prototype._addListener = function (type, listener, prepend) {
      const owner = cells.getStore();
      if (owner !== undefined && typeof listener === 'function') owners.set(listener, owner);
      return add.call(this, type, listener, prepend);
    };
    prototype._callHandler = function (type, handler, args) {
      return cells.run(owners.get(handler) ?? cells.getStore(), () => call.call(this, type, handler, args));
    };
  }

  #exit(code) {
    const exitCode = codeOf(code ?? process.exitCode ?? 0);
    const cell = this.#cells.getStore() ?? this.#running;
    const isFirst = !this.#exited.has(cell);
    this.#exited.add(cell);
    if (cell === this.#running && cell !== undefined) {
      this.#ask(exitCode);
    } else if (isFirst) {
      this.#report(`process.exit(${exitCode}) was ignored: it was called by code of an earlier call\n`);
    }
    throw new Exit(exitCode);
  }

  // Node would end the process if a listener for uncaught exceptions throws, as process.exit() does.
  #guardListeners() {
    const { emit } = process;
    const { isExit } = this;
    const report = this.#report;
    process.emit = function (event, ...values) {
      if (event !== 'uncaughtException') return apply(emit, this, [event, ...values]);
      if (isExit(values[0])) return true;
      try {
        return apply(emit, this, [event, ...values]);
      } catch (thrown) {
        if (!isExit(thrown)) report(traceOf(thrown));
        return true;
      }
    };
  }

  // What a cell writes after process.exit() is a reaction to the exception, or would not exist in a
  // process that ends.
  #mute(stream) {
    const { write } = stream;
    const cells = this.#cells;
    const exited = this.#exited;
    stream.write = function (chunk, encoding, callback) {
      if (exited.has(cells.getStore())) {
        const done = typeof encoding === 'function' ? encoding : callback;
        if (typeof done === 'function') process.nextTick(done);
        return true;
      }
      return write.call(this, chunk, encoding, callback);
    };
  }
}

function codeOf(value) {
  const code = Number(value);
  if (!Number.isInteger(code)) throw new Error(`not an exit code: ${String(value)}`);
  return code & 0xff;
}
