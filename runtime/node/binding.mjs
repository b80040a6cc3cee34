// Provides the globals `browser`, `context` and `page`: connects them before a cell runs, and
// rebinds them when the objects behind them are gone.
//
// Independent of frames and cells. `declare` gives access to the user's const and let bindings.

import process from 'node:process';

const RENEW_LIMIT_MS = 20_000;
const LOOKUP_LIMIT_MS = 2_000;
const APPEAR_LIMIT_MS = 1_000;
// User code may replace any of these.
const { setTimeout, clearTimeout, Promise, Error } = globalThis;
const { defineProperty } = Reflect;

// Uses bare identifiers, because a const or let of the user shadows the property of globalThis.
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
    return undefined; // The user's declaration threw before it set the value.
  }
}

/** Settles like `promise`, or rejects with `message` after `limit_ms`. */
function within(promise, limit_ms, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), limit_ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Binding {
  #shared;
  #type;
  #owner;
  #deadline;
  #declare;
  #endpoint;
  #browser;
  #connecting;
  #targets = new WeakMap(); // page → CDP target id

  /**
   * `shared` is the SharedBrowser, `deadline` the Deadline of cells. `declare(statement)` runs a
   * statement in the user's scope and returns whether it succeeded.
   */
  constructor(playwright, shared, deadline, declare) {
    this.#shared = shared;
    this.#type = playwright.chromium;
    this.#deadline = deadline;
    this.#owner = Object.getPrototypeOf(playwright.chromium.constructor);
    this.#declare = declare;
    showBriefly(this.#owner.prototype);
  }

  /** Returns whether `value` is a Playwright object. Its toJSON has only a type and an id. */
  isPlaywright = (value) => value instanceof this.#owner;

  /** The globals, for functions that take them as arguments. */
  get objects() {
    return { page: read('page'), context: read('context'), browser: read('browser') };
  }

  /** Returns a locator as code, in Playwright's words. */
  locatorText = (selector) => {
    try {
      return `${this.#pages()[0].mainFrame().locator(selector)}`;
    } catch {
      return selector; // There is no page.
    }
  };

  /** Connects before the first run, which reports a failure. */
  attach(endpoint) {
    this.#endpoint = this.#shared.endpoint = endpoint;
    const connecting = this.#connect();
    connecting.catch(() => {});
    return connecting;
  }

  /** Replaces the address of the browser, which has got the id of the session. */
  rename(endpoint) {
    if (this.#endpoint === endpoint) return;
    this.#endpoint = this.#shared.endpoint = endpoint;
    process.env.CDP_URL = endpoint;
  }

  /**
   * Returns whether the globals are usable. Makes no round trip, because it runs before every cell.
   */
  isFresh() {
    return this.#browser?.isConnected() === true
      && !this.#isStale(read('page')) && !this.#isStale(read('context')) && !this.#isStale(read('browser'));
  }

  /**
   * Rebinds the globals. `target` is the CDP id of the current tab, or null. Rejects with one
   * sentence.
   */
  async renew(target) {
    const slow = `the browser did not answer within ${RENEW_LIMIT_MS / 1000} s`;
    try {
      await within(this.#renew(target), RENEW_LIMIT_MS, slow);
    } catch (error) {
      // The next run must not wait for a hanging connection.
      this.#connecting = undefined;
      const reason = `${error?.message}`.split('\n')[0].replaceAll(this.#endpoint ?? '', '…');
      throw new Error(`no usable browser connection: ${reason}`);
    }
  }

  async #renew(target) {
    if (this.#endpoint === undefined) throw new Error('the kernel has no browser address');
    if (this.#browser?.isConnected() !== true) {
      // A pending attempt may have started before the browser could answer, so try a second time.
      await (this.#connecting ? this.#connecting.catch(() => this.#connect()) : this.#connect());
    }
    await this.#rebind(target);
  }

  #connect() {
    const attempt = this.#shared.connect(this.#type, { timeout: RENEW_LIMIT_MS }).then((connected) => {
      this.#browser = connected;
      this.#deadline.follow(connected.contexts()[0]._timeoutSettings);
      // Looked up in advance to save the first run a round trip.
      for (const each of this.#pages()) this.#targetOf(each);
    }).finally(() => {
      if (this.#connecting === attempt) this.#connecting = undefined;
    });
    this.#connecting = attempt;
    return attempt;
  }

  #isStale(value) {
    if (value === undefined) return true;
    if (!this.isPlaywright(value)) return this.#shared.isClosed(value);
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
    // A const or let of the user shadows the global. V8 accepts a redeclaration with the same
    // keyword.
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

  // Waits for the page of a tab, because another client may have opened the tab just now.
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

// By default, inspecting a page prints 30 KB of Playwright's internals.
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
