// Preloaded by every node process of a session. Makes HTTP agents that libraries create use the
// session's proxy too. Node applies HTTP_PROXY only to its global agents, but libraries such as
// Playwright (page.request) create other agents.
'use strict';

const Module = require('node:module');

const load = Module._load;
const patched = new Set();

// Patched when first loaded, because loading the two modules takes longer than starting Node.
Module._load = function (name, ...rest) {
  const loaded = load.call(this, name, ...rest);
  if (/^(node:)?https?$/.test(name) && !patched.has(loaded)) {
    patched.add(loaded);
    const Plain = loaded.Agent;
    loaded.Agent = class Agent extends Plain {
      constructor(options) {
        // A derived class configures its proxy itself.
        super(new.target === Agent ? { proxyEnv: process.env, ...options } : options);
      }
    };
  }
  return loaded;
};
