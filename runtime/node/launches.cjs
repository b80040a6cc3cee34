// Preloaded by every node process of a session. Connects browsers that code launches with
// Playwright or Puppeteer to the session's browser, also in scripts that Bash starts.
//
// Only adds a hook, because most programs load neither of them.
'use strict';

const { registerHooks } = require('node:module');
const { join } = require('node:path');
const { fileURLToPath } = require('node:url');

const NAME = '__hearthBrowser';
// The modules of any installed version, and the code that is appended to them.
const PATCHES = [
  [/\/(?:playwright-core|playwright\/driver\/package)\/index\.js$/, 'sharePlaywright(module.exports)'],
  // Its main class, before it creates an instance.
  [/\/puppeteer-core\/lib\/.+\/PuppeteerNode\.js$/, 'sharePuppeteer(PuppeteerNode.prototype)'],
];
// Playwright's commands, such as `playwright screenshot`, launch browsers too.
const COMMANDS = /\/(?:playwright-core|playwright\/driver\/package)\/cli\.js$/;

// Code may change its environment later.
const endpoint = process.env.CDP_URL;
let shared;

/** Sets the SharedBrowser of this process. The kernel has its own. */
exports.use = (browser) => { shared = browser; };

Object.defineProperty(globalThis, NAME, {
  get() {
    if (shared === undefined) {
      const { SharedBrowser } = require('./launch.mjs');
      shared = new SharedBrowser((text) => process.stderr.write(text), endpoint);
    }
    return shared;
  },
});

// Another Node that the session has installed may be older than this function.
registerHooks?.({
  load(url, context, next) {
    const loaded = next(url, context);
    // Python's Playwright runs a command too, which launches no browser itself.
    if (COMMANDS.test(url) && process.argv[2] !== 'run-driver') require(join(fileURLToPath(url), '../index.js'));
    const patch = PATCHES.find(([pattern]) => pattern.test(url));
    if (patch === undefined || !loaded.source) return loaded;
    return { ...loaded, source: `${Buffer.from(loaded.source)}\n;globalThis.${NAME}.${patch[1]};\n` };
  },
});
