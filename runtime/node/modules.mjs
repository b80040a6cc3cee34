// Provides `require`, `import()` and the other module globals of user code. All resolve from the
// working directory.
//
// Independent of cells, frames and the browser.

import { realpathSync } from 'node:fs';
import Module, { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

/** Replaces import lines in rewritten source. */
export const IMPORT_NAME = '__hearthImport';
/** Replaces `import.meta` in rewritten source, and appears in messages about it. */
export const META_NAME = 'import_meta';

/** The name of the script that user code seems to be. */
export const SCRIPT_NAME = 'execute.js';

// Packages that scripts import for a browser, which the session has already.
const BROWSER_PACKAGES = /^(?:@playwright\/test|playwright\/test|playwright-(?:extra|chromium)|puppeteer(?:-core|-extra)?)$/;

let exported;

/** Returns `{ value }` of the `export default` that ran since the last call, or undefined. */
export function takeDefault() {
  const taken = exported;
  exported = undefined;
  return taken;
}

/**
 * Defines require, module, exports, __filename and __dirname as globals, and the import helpers.
 * `playwright` and `playwright-core` resolve to `playwrightDir` for both require and import.
 */
export function installModules(playwrightDir) {
  const dir = process.cwd();
  const filename = join(dir, SCRIPT_NAME);
  const url = pathToFileURL(filename).href;
  // The loader identifies modules by their real path. Through a symlink they would be loaded twice.
  const playwright = realpathSync(playwrightDir);
  const bundled = {
    import: pathToFileURL(join(playwright, 'index.mjs')).href,
    require: pathToFileURL(join(playwright, 'index.js')).href,
  };
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'playwright' || specifier === 'playwright-core') {
        return context.conditions.includes('import')
          ? { url: bundled.import, format: 'module', shortCircuit: true }
          : { url: bundled.require, format: 'commonjs', shortCircuit: true };
      }
      // An import() of user code has no parent, and the one below is in this file. Both must
      // resolve from the working directory.
      const isOwn = context.parentURL === undefined || context.parentURL === import.meta.url;
      try {
        return next(specifier, isOwn ? { ...context, parentURL: url } : context);
      } catch (error) {
        if (isOwn || context.parentURL === url) explain(error, specifier);
        throw error;
      }
    },
  });

  const require = createRequire(filename);
  const module = new Module(filename);
  module.filename = filename;
  module.paths = Module._nodeModulePaths(dir);
  module.loaded = true;
  require.main = module;

  const importFrom = (specifier, options) => import(specifier, options);
  importFrom.named = async (specifier, names, options) => {
    const namespace = await importFrom(specifier, options);
    for (const name of names) {
      if (name in namespace) continue;
      throw new SyntaxError(`The requested module '${specifier}' does not provide an export named '${name}'`);
    }
    return namespace;
  };
  // `export default` assigns to it.
  Object.defineProperty(importFrom, 'default', { get: () => exported?.value, set: (value) => { exported = { value }; } });
  Object.freeze(importFrom);
  const resolve = (name) => resolveFrom(require, name, url);
  const meta = { __proto__: null, dirname: dir, filename, url, main: true, resolve };

  const visible = { require, module, exports: module.exports, __filename: filename, __dirname: dir };
  for (const [name, value] of Object.entries(visible)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  const fixed = { [IMPORT_NAME]: importFrom, [META_NAME]: meta };
  for (const [name, value] of Object.entries(fixed)) {
    Object.defineProperty(globalThis, name, { value, writable: false, configurable: true, enumerable: false });
  }
}

// Removes the name of the script, which does not exist, from the message of a failed import.
function explain(error, specifier) {
  const { message, stack } = error;
  error.message = BROWSER_PACKAGES.test(specifier)
    ? `Cannot find package '${specifier}'. The session has the variables page, context and browser, and the package playwright`
    : message.replace(/ imported from .*$|\nRequire stack:[^]*$/, '');
  error.stack = stack.replace(message, () => error.message);
}

function resolveFrom(require, specifier, base) {
  if (/^(\.{0,2}\/|[a-z][a-z+.-]*:)/i.test(specifier)) return new URL(specifier, base).href;
  const path = require.resolve(specifier);
  return Module.isBuiltin(path) ? `node:${path.replace(/^node:/, '')}` : pathToFileURL(path).href;
}
