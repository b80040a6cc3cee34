// `require`, `import()` and the module names that user code sees, all resolved from the working directory.
// Must not know cells, frames or the browser.

import { realpathSync } from 'node:fs';
import Module, { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

/** The rewritten source calls this global instead of `import(…)`, which V8's REPL mode does not support. */
export const IMPORT_NAME = '__hearthImport';
/** Stands for `import.meta` in rewritten source. */
export const META_NAME = '__hearthImportMeta';

/**
 * Defines require, module, exports, __filename and __dirname as globals, and the import helpers.
 * `playwrightFolder` is what `playwright` and `playwright-core` mean in require and import alike.
 */
export function installModules(playwrightFolder) {
  const folder = process.cwd();
  const filename = join(folder, 'execute.js');
  const url = pathToFileURL(filename).href;
  // The loader knows modules by their real path: through a link they would be loaded a second time.
  const playwright = realpathSync(playwrightFolder);
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
      // import() below stands in this file but means the working directory.
      return next(specifier, context.parentURL === import.meta.url ? { ...context, parentURL: url } : context);
    },
  });

  const require = createRequire(filename);
  const module = new Module(filename);
  module.filename = filename;
  module.paths = Module._nodeModulePaths(folder);
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
  Object.freeze(importFrom);
  const resolve = (name) => resolveFrom(require, name, url);
  const meta = { __proto__: null, dirname: folder, filename, url, main: true, resolve };

  const visible = { require, module, exports: module.exports, __filename: filename, __dirname: folder };
  for (const [name, value] of Object.entries(visible)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  const fixed = { [IMPORT_NAME]: importFrom, [META_NAME]: meta };
  for (const [name, value] of Object.entries(fixed)) {
    Object.defineProperty(globalThis, name, { value, writable: false, configurable: false, enumerable: false });
  }
}

function resolveFrom(require, specifier, base) {
  if (/^(\.{0,2}\/|[a-z][a-z+.-]*:)/i.test(specifier)) return new URL(specifier, base).href;
  const path = require.resolve(specifier);
  return Module.isBuiltin(path) ? `node:${path.replace(/^node:/, '')}` : pathToFileURL(path).href;
}
