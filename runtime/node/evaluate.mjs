// Runs a cell in V8's REPL mode, through an inspector session on the same thread, and returns its
// value. Waits for promises, and calls functions, of code that is shaped like a script.
//
// Independent of frames, the browser and the formatting of values.

import { Session } from 'node:inspector';
import process from 'node:process';
import { types } from 'node:util';
import { takeDefault } from './modules.mjs';
import { NOT_A_TYPE, withoutTypes } from './typescript.mjs';

const GROUP = 'cell';
const REDECLARATION_DEPTH = 6;
const { Promise, Error, SyntaxError, BigInt, Number } = globalThis;
const { apply, defineProperty, deleteProperty } = Reflect;
const { isPromise } = types;
const { binding: processBinding } = process;
const objectPrototype = Object.prototype;
const functionText = Function.prototype.toString;
// The return values of setTimeout() and setImmediate() are no results.
const [Timeout, Immediate] = timerClasses();

/**
 * Runs code. Results are `{ thrown, value, compile }`; `compile` is `{ line, column }` (from 0) if
 * the code does not compile.
 */
export class Evaluator {
  #session = new Session();
  #rewriter;
  #sink;
  #received;
  #hasImport = false;

  /**
   * `rewriter()` returns a promise of the Rewriter, which is rarely needed and may still be
   * loading.
   */
  constructor(rewriter) {
    this.#rewriter = rewriter;
    this.#session.connect();
    // The inspector returns remote objects. Calling this function with one of them yields the value
    // itself.
    this.#sink = this.#remote((value) => { this.#received = value; }).objectId;
  }

  // Returns the remote object of a value.
  #remote(value) {
    const slot = '__hearthSlot';
    defineProperty(globalThis, slot, { value, configurable: true });
    const { result } = this.#ask('Runtime.evaluate', { expression: slot });
    deleteProperty(globalThis, slot);
    return result;
  }

  // Returns the answer to a command that the inspector answers at once.
  #ask(method, params) {
    let answer;
    this.#session.post(method, params, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }

  // Makes import() work in code that the inspector evaluates, also in functions whose source goes to
  // a page. Node finds the loader for an import through a symbol, which the global object holds for
  // code that names none. Node's function for internal modules is in the scope of
  // process.binding().
  #enableImport() {
    const { internalProperties } = this.#ask('Runtime.getProperties', { objectId: this.#remote(processBinding).objectId });
    const scopes = internalProperties.find(({ name }) => name === '[[Scopes]]').value;
    const listed = this.#ask('Runtime.getProperties', { objectId: scopes.objectId, ownProperties: true }).result;
    for (const { value: scope } of listed) {
      if (scope?.objectId === undefined || scope.description === 'Global') continue;
      const variables = this.#ask('Runtime.getProperties', { objectId: scope.objectId, ownProperties: true }).result;
      const found = variables.find(({ name }) => name === 'internalBinding');
      if (found === undefined) continue;
      const internalBinding = this.#real(found.value);
      const { host_defined_option_symbol: option } = internalBinding('util').privateSymbols;
      globalThis[option] = internalBinding('symbols').vm_dynamic_import_default_internal;
      return;
    }
  }

  /**
   * Runs `code`, named `name` in stack traces. Never rejects because of user code. If the code is a
   * function, calls it with `objects()`, an object of the session's objects. If its value is a
   * promise that it neither assigns nor declares, waits for it.
   */
  async run(code, name, objects) {
    takeDefault();
    if (/\bexports\b/.test(code)) forgetExports();
    let { text, outcome } = await this.#attempt(code, name, false);
    if (outcome.compile && !redeclaredName(outcome)) {
      const typed = withoutTypes(code);
      if (typed.text === undefined) {
        // An error further down means that the first one was about a type.
        if (typed.isUnsupported || typed.line > outcome.compile.line) outcome = syntaxFailure(typed);
      } else {
        if (typed.text !== code) ({ text, outcome } = await this.#attempt(typed.text, name, true));
        if (isDecorator(code, outcome.compile)) outcome = { ...outcome, value: new SyntaxError(`decorators are ${NOT_A_TYPE}`) };
      }
    }
    return outcome.thrown ? outcome : this.#completed(text, outcome, objects);
  }

  async #attempt(code, name, isTypeScript) {
    let text = code;
    let syntaxError;
    if (code.includes('import') || code.includes('export')) {
      if (!this.#hasImport) this.#enableImport();
      this.#hasImport = true;
      ({ text, syntaxError } = (await this.#rewriter()).modules(code, isTypeScript));
    }
    if (/\bexports\b/.test(text)) text = (await this.#rewriter()).withoutExportValue(text);
    const isVoided = /\bvoid\b|[!+~-]\s*\(?\s*async\b/.test(text);
    const unvoided = isVoided ? (await this.#rewriter()).unvoided(text) : undefined;
    let outcome = await this.#declaring(unvoided ?? text, name, REDECLARATION_DEPTH);
    if (outcome.compile && isReturnError(outcome.value)) {
      text = (await this.#rewriter()).returning(text);
      outcome = await this.#declaring(text, name, REDECLARATION_DEPTH);
    } else if (outcome.compile && isNameError(outcome.value)) {
      // `async function ({ page }) {…}` is an expression without a name.
      const whole = await this.#once(`(${text.trimEnd().replace(/;$/, '')}\n)`, name);
      if (!whole.compile) return { text: '(() => {})', outcome: whole };
    }
    // V8 only reports that a script contains an import. acorn finds the actual error.
    if (outcome.compile && syntaxError && /import statement|'export'|import\.meta/.test(outcome.value.message)) {
      outcome = syntaxFailure(syntaxError);
    }
    if (!unvoided || outcome.thrown) return { text, outcome };
    const awaited = await settled(() => outcome.value);
    return { text, outcome: awaited.thrown ? awaited : { ...outcome, value: undefined } };
  }

  // Turns the value of code that ran to its end into the value of the cell.
  async #completed(text, outcome, objects) {
    const exported = takeDefault();
    let { value } = outcome;
    const isTimer = value instanceof Timeout || value instanceof Immediate;
    const isUnclear = exported || isTimer || isPromise(value) || typeof value === 'function' || /\bexports\b|[wW]rite|execSync/.test(text);
    const shape = isUnclear ? (await this.#rewriter()).shape(text) : undefined;
    const isStatus = shape?.isWrite && (value === null || typeof value === 'boolean' || typeof value === 'number');
    if (isTimer || isStatus) value = undefined;
    const entry = exported ?? (shape?.exportsCommon ? commonExport() : undefined);
    const isEntry = entry !== undefined && isResult(entry.value, value, shape);
    if (isEntry) ({ value } = entry);
    if (typeof value === 'function' && (isEntry || shape?.isFunction)) return this.#called(value, isEntry, objects);
    if (isPromise(value) && (isEntry || shape?.waits)) return settled(() => value);
    return { ...outcome, value };
  }

  async #called(callee, isExported, objects) {
    const source = functionText.call(callee);
    if (/^class\b/.test(source)) return { thrown: false, value: callee, compile: null };
    const { named, isEntryPoint } = (await this.#rewriter()).parameters(source);
    if (!isExported && !isEntryPoint) return { thrown: false, value: callee, compile: null };
    const all = objects();
    const values = named.map((each) => (each === 'all' ? all : all[each]));
    return settled(() => apply(callee, undefined, values));
  }

  /** Runs a statement of the kernel in the user's scope. Returns whether it succeeded. */
  async declare(statement) {
    return !(await this.#once(statement, 'hearth.js')).thrown;
  }

  /**
   * Releases the objects that the inspector keeps for a cell: remote objects and the arguments of
   * console calls.
   */
  reset() {
    this.#received = undefined;
    this.#session.post('Runtime.releaseObjectGroup', { objectGroup: GROUP }, () => {});
    this.#session.post('Runtime.discardConsoleEntries', () => {});
  }

  // V8 accepts a redeclaration only with the same keyword. Users mix keywords, so try the others.
  // Code that does not compile has not run.
  async #declaring(text, name, depth) {
    const outcome = await this.#once(text, name);
    const taken = outcome.thrown && depth > 0 && redeclaredName(outcome);
    if (!taken) return outcome;
    for (const candidate of (await this.#rewriter()).redeclaring(text, taken)) {
      const other = await this.#declaring(candidate, name, depth - 1);
      if (!(other.thrown && redeclaredName(other))) return other;
    }
    return outcome;
  }

  #once(text, name) {
    return new Promise((resolve) => {
      const expression = `${text}\n//# sourceURL=${name}`;
      const options = { expression, replMode: true, awaitPromise: true, silent: true, objectGroup: GROUP };
      // REPL mode runs a cell as an async function: an error before `post` returns is an error
      // before the first statement.
      let hasStarted = false;
      this.#session.post('Runtime.evaluate', options, (error, answer) => resolve(this.#outcome(error, answer, hasStarted)));
      hasStarted = true;
    });
  }

  #outcome(error, answer, hasStarted) {
    // The inspector's messages are JSON: a toJSON on this prototype would break all of them.
    deleteProperty(objectPrototype, 'toJSON');
    if (error) return { thrown: true, value: new Error(error.message), compile: null };
    const details = answer.exceptionDetails;
    if (!details) return { thrown: false, value: this.#real(answer.result), compile: null };
    const compile = hasStarted ? null : { line: details.lineNumber, column: details.columnNumber };
    return { thrown: true, value: this.#real(details.exception ?? answer.result), compile };
  }

  #real(remote) {
    if (remote.objectId !== undefined) {
      this.#session.post('Runtime.callFunctionOn', {
        functionDeclaration: 'function (value) { this(value); }',
        objectId: this.#sink,
        arguments: [{ objectId: remote.objectId }],
        silent: true,
      }, () => {});
      return this.#received;
    }
    if (remote.unserializableValue === undefined) return remote.value;
    return remote.type === 'bigint' ? BigInt(remote.unserializableValue.slice(0, -1)) : Number(remote.unserializableValue);
  }
}

function timerClasses() {
  const [timeout, immediate] = [setTimeout(() => {}, 0), setImmediate(() => {})];
  clearTimeout(timeout);
  clearImmediate(immediate);
  return [timeout.constructor, immediate.constructor];
}

const syntaxFailure = ({ message, line, column }) => ({
  thrown: true, value: new SyntaxError(message), compile: { line, column },
});

// V8 does not parse decorators.
const isDecorator = (code, position) => position && code.split('\n')[position.line]?.[position.column] === '@';

const messageOf = (value) => {
  try {
    return typeof value?.message === 'string' ? value.message : '';
  } catch {
    return '';
  }
};

// Calls `action` and waits for a promise that it returns.
async function settled(action) {
  try {
    return { thrown: false, value: await action(), compile: null };
  } catch (error) {
    return { thrown: true, value: error, compile: null };
  }
}

// An earlier cell may have exported something.
function forgetExports() {
  globalThis.exports = {};
  if (typeof globalThis.module === 'object' && globalThis.module !== null) globalThis.module.exports = globalThis.exports;
}

// Returns `{ value }` of what the code has assigned to module.exports.
function commonExport() {
  const { exports } = globalThis.module ?? {};
  const value = typeof exports === 'function' || isPromise(exports) ? exports : exports?.default;
  return value === undefined ? undefined : { value };
}

// Returns whether an exported value is the result of the code, instead of its last value: not if it
// is a function that the code calls itself, or stands beside the promise of a call.
function isResult(exported, last, shape) {
  if (typeof exported === 'function') return !shape?.called.has(exported.name);
  return isPromise(exported) || !isPromise(last);
}

const isNameError = (value) => /^Function statements require a function name/.test(messageOf(value));

const isReturnError = (value) => messageOf(value) === 'Illegal return statement';

function redeclaredName({ value, compile }) {
  return compile ? /^Identifier '(.+)' has already been declared$/.exec(messageOf(value))?.[1] : undefined;
}
