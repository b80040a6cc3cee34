// The globals browser, context and page: connected before a cell runs, and bound again when what they hold is gone.
// Must not know frames or cells; it gets `declare` to reach the user's own const and let bindings.

import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RENEW_LIMIT_MS = 20_000;
const LOOKUP_LIMIT_MS = 2_000;
const APPEAR_LIMIT_MS = 1_000;
/** Playwright's own files, downloads among them: one folder for the kernels of a session, so that a file is where each looks. */
const ARTIFACTS = join(tmpdir(), '.playwright');
// User code may replace any of these.
const { setTimeout, clearTimeout, Promise, Error } = globalThis;
const { defineProperty } = Reflect;

// Bare identifiers on purpose: they see a const or let of the user's before the property of globalThis.
/* global browser, context, page */
const readers = {
  browser: () => (typeof browser === 'undefined' ? undefined : browser),
  context: () => (typeof context === 'undefined' ? undefined : context),
  page: () => (typeof page === 'undefined' ? undefined : page),
};

function read(name) {
  try {
    return readers[name]();
  } catch {
    return undefined; // a declaration that threw before its value was set
  }
}

/** The promise's value, or a rejection with `message` after `limit_ms`. */
function within(promise, limit_ms, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), limit_ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Binding {
  #chromium;
  #owner;
  #declare;
  #endpoint;
  #browser;
  #connecting;
  #targets = new WeakMap(); // page → CDP target id

  /** `declare(statement)` runs a statement among the user's bindings and tells whether it worked. */
  constructor(playwright, declare) {
    this.#chromium = playwright.chromium;
    this.#owner = Object.getPrototypeOf(this.#chromium.constructor);
    this.#declare = declare;
    showBriefly(this.#owner.prototype);
  }

  /** Whether `value` is one of Playwright's own objects (its toJSON tells a type and an id only). */
  isPlaywright = (value) => value instanceof this.#owner;

  /** Connects ahead of the first run. Failures show up at the run. */
  attach(endpoint) {
    this.#endpoint = endpoint;
    this.#connect().catch(() => {});
  }

  /** Whether a cell may run as things are. No round trip: it is asked before every run. */
  isFresh() {
    return this.#browser?.isConnected() === true
      && !this.#isStale(read('page')) && !this.#isStale(read('context')) && !this.#isStale(read('browser'));
  }

  /** Makes the globals usable. `target` is the CDP id of the current tab, or null. Rejects with one sentence. */
  async renew(target) {
    const slow = `the browser did not answer within ${RENEW_LIMIT_MS / 1000} s`;
    try {
      await within(this.#renew(target), RENEW_LIMIT_MS, slow);
    } catch (error) {
      // A connection that hangs must not be waited for again by the next run.
      this.#connecting = undefined;
      const reason = `${error?.message}`.split('\n')[0].replaceAll(this.#endpoint ?? '', '…');
      throw new Error(`no usable browser connection: ${reason}`);
    }
  }

  async #renew(target) {
    if (this.#endpoint === undefined) throw new Error('the kernel was not told where the browser is');
    if (this.#browser?.isConnected() !== true) {
      // An attempt under way may have begun before the browser could answer: it gets a second chance.
      await (this.#connecting ? this.#connecting.catch(() => this.#connect()) : this.#connect());
    }
    await this.#rebind(target);
  }

  #connect() {
    mkdirSync(ARTIFACTS, { recursive: true });
    const options = { artifactsDir: ARTIFACTS, timeout: RENEW_LIMIT_MS };
    const attempt = this.#chromium.connectOverCDP(this.#endpoint, options).then((connected) => {
      this.#browser = connected;
      // Known ahead, so that the first run need not ask.
      for (const each of this.#pages()) this.#targetOf(each);
    }).finally(() => {
      if (this.#connecting === attempt) this.#connecting = undefined;
    });
    this.#connecting = attempt;
    return attempt;
  }

  #isStale(value) {
    if (value === undefined) return true;
    if (!this.isPlaywright(value)) return false;
    try {
      switch (value._type) {
        case 'Page': return value.isClosed() || value.context().browser()?.isConnected() === false;
        case 'BrowserContext': {
          const home = value.browser();
          return home !== null && !(home.isConnected() && home.contexts().includes(value));
        }
        case 'Browser': return !value.isConnected();
        default: return false;
      }
    } catch {
      return false;
    }
  }

  async #rebind(target) {
    if (this.#isStale(read('browser'))) await this.#bind('browser', this.#browser);
    if (this.#isStale(read('page'))) await this.#bind('page', await this.#currentPage(target));
    if (this.#isStale(read('context'))) {
      const held = read('page');
      const home = this.isPlaywright(held) && held._type === 'Page' ? held.context() : this.#browser.contexts()[0];
      await this.#bind('context', home);
    }
  }

  async #bind(name, value) {
    defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
    if (read(name) === value) return;
    // The user's own const or let hides the global. V8 lets the same keyword declare it again.
    const isDone = await this.#declare(`const ${name} = globalThis.${name};`);
    if (!isDone) await this.#declare(`let ${name} = globalThis.${name};`);
  }

  #pages() {
    return this.#browser.contexts().flatMap((each) => each.pages()).filter((each) => !each.isClosed());
  }

  async #currentPage(target) {
    const pages = this.#pages();
    if (target !== null && target !== undefined) {
      const found = await this.#findPage(pages, target) ?? await this.#appearing(target);
      if (found) return found;
    }
    return this.#pages()[0] ?? this.#browser.contexts()[0].newPage();
  }

  async #findPage(pages, target) {
    const targets = await Promise.all(pages.map((each) => this.#targetOf(each)));
    return pages.find((each, index) => targets[index] === target && !each.isClosed());
  }

  // A tab that another client has just opened may be on its way to us.
  async #appearing(target) {
    const contexts = this.#browser.contexts();
    let listener;
    const arrival = new Promise((resolve) => {
      listener = async (each) => {
        if (await this.#targetOf(each) === target) resolve(each);
      };
      for (const each of contexts) each.on('page', listener);
    });
    try {
      const known = await this.#findPage(this.#pages(), target);
      return known ?? await within(arrival, APPEAR_LIMIT_MS, 'no such page');
    } catch {
      return undefined;
    } finally {
      for (const each of contexts) each.off('page', listener);
    }
  }

  #targetOf(each) {
    let known = this.#targets.get(each);
    if (!known) {
      known = within(askTarget(each), LOOKUP_LIMIT_MS, 'no answer').catch(() => {
        this.#targets.delete(each);
        return undefined;
      });
      this.#targets.set(each, known);
    }
    return known;
  }
}

async function askTarget(each) {
  const session = await each.context().newCDPSession(each);
  const { targetInfo } = await session.send('Target.getTargetInfo');
  session.detach().catch(() => {});
  return targetInfo.targetId;
}

// Left alone, inspecting a page prints 30 KB of Playwright's internals.
function showBriefly(prototype) {
  const custom = Symbol.for('nodejs.util.inspect.custom');
  defineProperty(prototype, custom, {
    configurable: true,
    writable: true,
    enumerable: false,
    value(depth, options, inspect) {
      const kind = this._type;
      if (kind === 'JSHandle' || kind === 'ElementHandle') return `${this}`;
      if (typeof this.url !== 'function') return `${kind} {}`;
      const shown = { url: this.url() };
      if (kind === 'Response' || kind === 'APIResponse') shown.status = this.status();
      return `${kind} ${inspect(shown, options)}`;
    },
  });
}
