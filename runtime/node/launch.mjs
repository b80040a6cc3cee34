// Connects browsers that user code launches to the session's browser, because a session has one
// browser and cannot start another. Closing such a browser only closes its connection.
//
// Independent of cells and frames.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// User code may replace any of these.
const { Error, Promise, URL, WeakMap, WeakSet } = globalThis;
const { getPrototypeOf, keys } = Object;
const { isArray } = Array;
const require = createRequire(import.meta.url);

// The time limit for a request to the server.
const REQUEST_LIMIT_MS = 10_000;

// The directory for Playwright's files, such as downloads. All kernels and scripts of a session
// share it, so that each of them finds the files.
const ARTIFACTS = join(tmpdir(), '.playwright');

// Options about a process, or without an effect on a browser that runs.
const PROCESS_OPTIONS = new Set(['args', 'artifactsDir', 'channel', 'chromiumSandbox', 'devtools', 'downloadsPath', 'env',
  'executablePath', 'handleSIGHUP', 'handleSIGINT', 'handleSIGTERM', 'headless', 'ignoreDefaultArgs', 'logger', 'slowMo',
  'timeout', 'tracesDir', 'acceptDownloads', 'firefoxUserPrefs', 'ignoreHTTPSErrors']);

/** The address of the session's browser, and the functions that replace launches. */
export class SharedBrowser {
  #report;
  #endpoint;
  #connects = new WeakMap(); // prototype of BrowserType → its connectOverCDP
  #withoutVideo = new WeakSet(); // prototypes of Browser
  #puppeteers = new WeakSet(); // browsers of Puppeteer

  /** `report(text)` writes to stderr. */
  constructor(report, endpoint) {
    this.#report = report;
    this.#endpoint = endpoint;
  }

  set endpoint(endpoint) {
    this.#endpoint = endpoint;
  }

  /** Connects a type of a shared Playwright to the session's browser. */
  async connect(type, options = {}) {
    if (this.#endpoint === undefined) throw new Error('the address of the browser is unknown, because CDP_URL is not set');
    mkdirSync(ARTIFACTS, { recursive: true });
    const connect = this.#connects.get(getPrototypeOf(type));
    const browser = await connect.call(type, this.#endpoint, { artifactsDir: ARTIFACTS, ...options });
    this.#refuseVideo(getPrototypeOf(browser));
    return browser;
  }

  // Playwright would suggest a command that does not work.
  #refuseVideo(prototype) {
    if (this.#withoutVideo.has(prototype)) return;
    this.#withoutVideo.add(prototype);
    const { newContext } = prototype;
    prototype.newContext = async function (options) {
      if (options?.recordVideo) throw new Error(NO_VIDEO);
      return newContext.call(this, options);
    };
  }

  /** Replaces the launches of Playwright. */
  sharePlaywright({ chromium }) {
    const shared = this;
    const prototype = getPrototypeOf(chromium);
    const { connect, connectOverCDP } = prototype;
    this.#connects.set(prototype, connectOverCDP);
    prototype.launch = async function (options = {}) {
      shared.#check(this, 'launch', options);
      if (ignoresCertificates(options)) await shared.#ignoreCertificates();
      const browser = await shared.connect(this, connectOptions(options));
      // A new browser has no contexts, and Playwright's commands end when its last page closes.
      const [home] = browser.contexts();
      browser.contexts = () => getPrototypeOf(browser).contexts.call(browser).filter((each) => each !== home);
      return browser;
    };
    prototype.launchPersistentContext = async function (_dir, options = {}) {
      shared.#check(this, 'launchPersistentContext', options);
      const ignores = ignoresCertificates(options);
      if (ignores) await shared.#ignoreCertificates();
      const [context] = (await shared.connect(this, connectOptions(options))).contexts();
      if (ignores) ignoreInRequests(context.request);
      return context;
    };
    prototype.launchServer = async function () {
      throw new Error(`browserType.launchServer: ${WHY}`);
    };
    prototype.connectOverCDP = function (endpoint, options) {
      const address = typeof endpoint === 'object' && endpoint !== null ? endpoint.endpointURL ?? endpoint.wsEndpoint : endpoint;
      const isTransport = typeof endpoint?.send === 'function';
      if (isTransport || !shared.#isSessionAddress(address)) return connectOverCDP.call(this, endpoint, options);
      return shared.connect(this, connectOptions(typeof endpoint === 'object' ? endpoint ?? {} : options ?? {}));
    };
    prototype.connect = function (endpoint, options) {
      const address = typeof endpoint === 'object' ? endpoint?.wsEndpoint : endpoint;
      if (!shared.#isSessionAddress(address)) return connect.call(this, endpoint, options);
      return shared.connect(this, connectOptions((typeof endpoint === 'object' ? endpoint : options) ?? {}));
    };
  }

  /** Replaces the launches of Puppeteer, which are in the prototype of its main class. */
  sharePuppeteer(prototype) {
    const shared = this;
    const { connect } = prototype;
    const toSession = ({ slowMo, protocolTimeout, defaultViewport = null, targetFilter }) => ({
      browserWSEndpoint: shared.#endpoint, slowMo, protocolTimeout, defaultViewport, targetFilter,
    });
    const follow = async (connecting) => {
      const browser = await connecting;
      shared.#puppeteers.add(browser);
      return browser;
    };
    prototype.launch = async function (options = {}) {
      if (ignoresCertificates(options)) await shared.#ignoreCertificates();
      return follow(connect.call(this, toSession(options)));
    };
    prototype.connect = async function (options = {}) {
      const address = options.browserWSEndpoint ?? options.browserURL;
      const isSession = !options.transport && shared.#isSessionAddress(address);
      if (isSession && ignoresCertificates(options)) await shared.#ignoreCertificates();
      return follow(connect.call(this, isSession ? toSession(options) : options));
    };
  }

  /** Returns whether an object of Puppeteer is closed: a browser, its page or its context. */
  isClosed(value) {
    try {
      const browser = this.#puppeteers.has(value) ? value : value.browser();
      if (!this.#puppeteers.has(browser)) return false;
      return !(browser.connected ?? browser.isConnected()) || value.isClosed?.() === true;
    } catch {
      return false; // It is an object of the user.
    }
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

  // Makes the browser ignore certificate errors until the session ends. Its default context, which
  // is the one of a launched browser, has no such option.
  async #ignoreCertificates() {
    if (this.#endpoint === undefined) return; // Connecting reports it.
    const url = new URL(this.#endpoint);
    url.protocol = 'http:';
    url.pathname += '/ignore-certificate-errors';
    // Loaded here, because proxy.cjs replaces the agents of a module that is loaded later.
    const { request } = require('node:http');
    const status = await new Promise((resolve, reject) => {
      const sent = request(url, { method: 'POST', agent: false, timeout: REQUEST_LIMIT_MS }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('timeout', () => sent.destroy(new Error('the server did not answer')));
      sent.on('error', reject);
      sent.end();
    });
    if (status !== 204) throw new Error(`cannot ignore certificate errors: the server answered with status ${status}`);
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

// Returns whether options of Playwright or Puppeteer turn the check of certificates off.
function ignoresCertificates({ ignoreHTTPSErrors, acceptInsecureCerts, args }) {
  return Boolean(ignoreHTTPSErrors || acceptInsecureCerts || (isArray(args) && args.includes('--ignore-certificate-errors')));
}

// Relies on an internal of Playwright: the method that all requests call.
function ignoreInRequests(requests) {
  const { _innerFetch: fetch } = requests;
  requests._innerFetch = (options) => fetch.call(requests, { ...options, ignoreHTTPSErrors: options.ignoreHTTPSErrors ?? true });
}

function connectOptions({ slowMo, timeout, headers }) {
  const options = {};
  if (slowMo !== undefined) options.slowMo = slowMo;
  if (timeout !== undefined) options.timeout = timeout;
  if (headers !== undefined) options.headers = headers;
  return options;
}
