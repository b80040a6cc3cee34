// Connects browsers that user code launches to the session's browser, because a session has one
// browser and cannot start another. Closing such a browser only closes its connection.
//
// Independent of cells and frames.

import { registerHooks } from 'node:module';

// User code may replace any of these.
const { Error, URL } = globalThis;
const { keys } = Object;

const PUPPETEER = /\/puppeteer-core\/lib\/.+\/PuppeteerNode\.js$/;
const HOOK = '__hearthPuppeteer';
// Appended to the module of Puppeteer's main class, before it creates an instance.
const PUPPETEER_PATCH = `\n;globalThis.${HOOK}(PuppeteerNode.prototype);\n`;

// Options about a process, or without an effect on a browser that runs.
const PROCESS_OPTIONS = new Set(['args', 'artifactsDir', 'channel', 'chromiumSandbox', 'devtools', 'downloadsPath', 'env',
  'executablePath', 'handleSIGHUP', 'handleSIGINT', 'handleSIGTERM', 'headless', 'ignoreDefaultArgs', 'logger', 'slowMo',
  'timeout', 'tracesDir', 'acceptDownloads', 'firefoxUserPrefs']);

/** The address of the session's browser, and the functions that replace launches. */
export class SharedBrowser {
  #endpoint;
  #options;
  #report;
  #type;
  #connect;
  #isVideoRefused = false;

  /**
   * `options` are Playwright's options for a connection. `report(text)` writes to stderr.
   */
  constructor(playwright, options, report) {
    this.#options = options;
    this.#report = report;
    this.#type = playwright.chromium;
    const prototype = Object.getPrototypeOf(playwright.chromium);
    this.#connect = prototype.connectOverCDP;
    this.#patchPlaywright(prototype);
    this.#patchPuppeteer();
  }

  set endpoint(endpoint) {
    this.#endpoint = endpoint;
  }

  /** Connects Playwright to the session's browser. */
  connect(options = {}) {
    if (this.#endpoint === undefined) throw new Error('the kernel has no browser address');
    return this.#connect.call(this.#type, this.#endpoint, { ...this.#options, ...options }).then((browser) => {
      this.#refuseVideo(browser);
      return browser;
    });
  }

  // Playwright would suggest a command that does not work.
  #refuseVideo(browser) {
    if (this.#isVideoRefused) return;
    this.#isVideoRefused = true;
    const prototype = Object.getPrototypeOf(browser);
    const { newContext } = prototype;
    prototype.newContext = async function (options) {
      if (options?.recordVideo) throw new Error(NO_VIDEO);
      return newContext.call(this, options);
    };
  }

  #patchPlaywright(prototype) {
    const shared = this;
    const { connect, connectOverCDP } = prototype;
    prototype.launch = async function (options = {}) {
      shared.#check(this, 'launch', options);
      return shared.connect(connectOptions(options));
    };
    prototype.launchPersistentContext = async function (_dir, options = {}) {
      shared.#check(this, 'launchPersistentContext', options);
      return (await shared.connect(connectOptions(options))).contexts()[0];
    };
    prototype.launchServer = async function () {
      throw new Error(`browserType.launchServer: ${WHY}`);
    };
    prototype.connectOverCDP = function (endpoint, options) {
      const address = typeof endpoint === 'object' && endpoint !== null ? endpoint.endpointURL ?? endpoint.wsEndpoint : endpoint;
      const isTransport = typeof endpoint?.send === 'function';
      if (isTransport || !shared.#isSessionAddress(address)) return connectOverCDP.call(this, endpoint, options);
      return shared.connect(connectOptions(typeof endpoint === 'object' ? endpoint ?? {} : options ?? {}));
    };
    prototype.connect = function (endpoint, options) {
      const address = typeof endpoint === 'object' ? endpoint?.wsEndpoint : endpoint;
      if (!shared.#isSessionAddress(address)) return connect.call(this, endpoint, options);
      return shared.connect(connectOptions((typeof endpoint === 'object' ? endpoint : options) ?? {}));
    };
  }

  #patchPuppeteer() {
    const shared = this;
    const patch = (prototype) => {
      const { connect } = prototype;
      const toSession = ({ slowMo, protocolTimeout, defaultViewport = null, targetFilter }) => ({
        browserWSEndpoint: shared.#endpoint, slowMo, protocolTimeout, defaultViewport, targetFilter,
      });
      prototype.launch = async function (options = {}) {
        return connect.call(this, toSession(options));
      };
      prototype.connect = async function (options = {}) {
        const address = options.browserWSEndpoint ?? options.browserURL;
        const isSession = !options.transport && shared.#isSessionAddress(address);
        return connect.call(this, isSession ? toSession(options) : options);
      };
    };
    Object.defineProperty(globalThis, HOOK, { value: patch, enumerable: false });
    registerHooks({
      load(url, context, next) {
        const loaded = next(url, context);
        if (!PUPPETEER.test(url) || loaded.source === null || loaded.source === undefined) return loaded;
        return { ...loaded, source: `${loaded.source}${PUPPETEER_PATCH}` };
      },
    });
  }

  // Scripts connect to a debugging port of their machine, to `process.env.CDP_URL`, or to the
  // `cdpUrl` of the session, which sandboxed code cannot reach.
  #isSessionAddress(address) {
    if (address === undefined || address === null || address === '') return true;
    try {
      const url = new URL(`${address}`);
      const own = new URL(this.#endpoint);
      return /^(?:localhost|127(?:\.\d+){3}|\[::1\]|0\.0\.0\.0)$/.test(url.hostname) || url.pathname.startsWith(own.pathname);
    } catch {
      return false;
    }
  }

  #check(type, method, options) {
    const name = type.name();
    if (name !== 'chromium') throw new Error(`browserType.${method}: ${name} is not available. ${WHY}`);
    const ignored = keys(options).filter((key) => options[key] !== undefined && !PROCESS_OPTIONS.has(key));
    if (ignored.length === 0) return;
    this.#report(`chromium.${method}() connected to the session's browser, without the options ${ignored.join(', ')}\n`);
  }
}

const WHY = "The session has one browser, which is Chromium: use chromium.launch(), or the variables browser, context and page";

const NO_VIDEO = 'browser.newContext: recordVideo needs ffmpeg, which the session does not have. Use page.screenshot() or context.tracing';

function connectOptions({ slowMo, timeout, headers }) {
  const options = {};
  if (slowMo !== undefined) options.slowMo = slowMo;
  if (timeout !== undefined) options.timeout = timeout;
  if (headers !== undefined) options.headers = headers;
  return options;
}
