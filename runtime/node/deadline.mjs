// Ends Playwright's default timeouts before the deadline of a cell, so that code gets a TimeoutError
// that names its call, instead of being killed. The settings of the user are read and never changed.
//
// Independent of frames and of the calls that are pending.

import { performance } from 'node:perf_hooks';

/** Time that default timeouts leave to a cell. A short cell keeps half of its time. */
const RESERVE_MS = 1000;
/** The minimum of a shortened timeout, with which quick calls still succeed. */
const MIN_TIMEOUT_MS = 500;
/** Times before the deadline at which the cell is reported. The last report counts. */
const REPORTS_MS = [500, 100];

// User code may replace any of these.
const { setTimeout, clearTimeout } = globalThis;
const { getPrototypeOf } = Object;
const { max, min, round } = Math;
const now = performance.now.bind(performance);

export class Deadline {
  #endAt; // the deadline of the cell that runs
  #shortenAt; // the end of default timeouts while a cell runs
  #timers = [];
  #followed = new WeakSet();

  /** Starts a cell that is killed in `leftMs`. Calls `report` shortly before. */
  begin(leftMs, report) {
    this.#endAt = now() + leftMs;
    this.#shortenAt = this.#endAt - min(RESERVE_MS, leftMs / 2);
    this.#timers = REPORTS_MS.map((before) => setTimeout(report, max(0, leftMs - before)));
  }

  /** Ends the cell. Between cells, default timeouts are not shortened. */
  end() {
    this.#shortenAt = undefined;
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  /** Shortens the default timeouts of all pages and contexts. `settings` are those of any of them. */
  follow(settings) {
    const prototype = getPrototypeOf(settings);
    if (this.#followed.has(prototype)) return;
    this.#followed.add(prototype);
    for (const name of ['_timeout', '_navigationTimeout']) this.#replace(prototype, name);
  }

  #replace(prototype, name) {
    const original = prototype[name];
    const shorten = (timeout) => this.#shorten(timeout);
    prototype[name] = function (options) {
      const timeout = original.call(this, options);
      return typeof options.timeout === 'number' ? timeout : shorten(timeout);
    };
  }

  // A timeout of 0 never ends. Close to the deadline, the minimum is half of the remaining time.
  #shorten(timeout) {
    if (this.#shortenAt === undefined) return timeout;
    const minimum = min(MIN_TIMEOUT_MS, (this.#endAt - now()) / 2);
    const left = max(1, round(max(minimum, this.#shortenAt - now())));
    return timeout > 0 && timeout < left ? timeout : left;
  }
}
