// Removes TypeScript's types from code that is not JavaScript. Positions do not change, because
// spaces replace the types.
//
// Uses Node's own stripper, which does not transform code: enums and the like are errors.

import { stripTypeScriptTypes } from 'node:module';
import process from 'node:process';

const blank = (text) => text.replace(/[^\n\r\u2028\u2029]/g, ' ');
// An import line, which may span several lines inside its braces.
const IMPORTS = /^[ \t]*import\b(?!\s*[(.])[^;'"]*(['"])[^'"\n]*\1[ \t]*;?/gm;

/** The end of a message about a feature that is more than a type. */
export const NOT_A_TYPE = 'not supported: of TypeScript, only types are removed';
// Code with a top-level return becomes the body of a function.
const OPEN = 'async () => {';

/**
 * Returns `{ text }`, or `{ message, line, column, isUnsupported }` if the code is not TypeScript
 * either, or uses syntax that must be transformed. `line` and `column` count from 0.
 */
export function withoutTypes(code) {
  // A top-level return is valid only in a function, and an import only outside.
  const attempts = /\breturn\b/.test(code) ? [stripInFunction, strip] : [strip, stripInFunction];
  let failure;
  for (const attempt of attempts) {
    try {
      return { text: attempt(code) };
    } catch (error) {
      const other = failureOf(error, attempt === stripInFunction ? OPEN.length : 0);
      // The function around the code may be a part of its other errors.
      if (other.isUnsupported || (attempt === strip && !failure?.isUnsupported)) failure = other;
    }
  }
  return failure;
}

// The stack starts with the number of the line, followed by code, and carets below the error.
function failureOf({ code, message, stack }, indent) {
  const isUnsupported = code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX';
  const [, number, shown] = /^:(\d+)\n([^]*?)\n\n/.exec(stack) ?? [undefined, 1, ''];
  const carets = /^ *(?=\^+$)/m.exec(shown)?.[0].length ?? 0;
  const line = number - 1;
  return {
    message: message.replace(/not supported in (?:strip-only|type strip) mode/, NOT_A_TYPE),
    line,
    column: Math.max(0, line === 0 ? carets - indent : carets),
    isUnsupported,
  };
}

function strip(code) {
  // Node warns once that the function is experimental.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(code);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function stripInFunction(code) {
  let imports = '';
  let end = 0;
  const body = code.replace(IMPORTS, (line, _quote, start) => {
    imports += blank(code.slice(end, start)) + line;
    end = start + line.length;
    return blank(line);
  });
  const text = strip(`${OPEN}${body}\n}`).slice(OPEN.length, -2);
  if (imports === '') return text;
  const lines = strip(imports + blank(code.slice(end)));
  // Each position has text in at most one of the two.
  return [...text.split('')].map((letter, index) => (letter === ' ' ? lines[index] ?? letter : letter)).join('');
}
