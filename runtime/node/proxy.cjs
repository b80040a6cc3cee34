// What every node of a session runs before anything else: agents made without a word about proxies use the session's, too.
// Node heeds HTTP_PROXY in its global agents only; libraries such as Playwright (page.request) make agents of their own.
'use strict';

const Module = require('node:module');

const load = Module._load;
const mended = new Set();

// Not before somebody wants them: the two take longer to load than Node itself.
Module._load = function (name, ...rest) {
  const loaded = load.call(this, name, ...rest);
  if (/^(node:)?https?$/.test(name) && !mended.has(loaded)) {
    mended.add(loaded);
    const Plain = loaded.Agent;
    loaded.Agent = class Agent extends Plain {
      constructor(options) {
        // A class derived from it knows its own way.
        super(new.target === Agent ? { proxyEnv: process.env, ...options } : options);
      }
    };
  }
  return loaded;
};
