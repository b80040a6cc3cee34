// Preloaded by every node process of a session. Makes the installed libraries importable from every
// directory: NODE_PATH does this for require(), but not for import. Packages that the session has
// installed come first.
'use strict';

const { join } = require('node:path');
const { registerHooks } = require('node:module');
const { pathToFileURL } = require('node:url');

const NOT_FOUND = 'ERR_MODULE_NOT_FOUND';
const LIBRARIES = pathToFileURL(join(__dirname, '../.installed/')).href;

// Another Node that the session has installed may be older than this function.
registerHooks?.({
  resolve(specifier, context, next) {
    // NODE_PATH has the libraries of require().
    // A call of next() changes the context.
    const { parentURL } = context;
    const isPackage = context.conditions?.includes('import') && !/^[./#]|^[a-z]+:/i.test(specifier);
    if (isPackage) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (error?.code === NOT_FOUND) {
          try {
            return next(specifier, { ...context, parentURL: LIBRARIES });
          } catch {
            // It is not a library either.
          }
        }
      }
    }
    // Node shows the line that throws, which must not be one of this file.
    return next(specifier, { ...context, parentURL });
  },
});
