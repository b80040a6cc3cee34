// Removes TypeScript's types from code that is not JavaScript. Positions do not change, because
// spaces replace the types.
//
// Uses Node's own stripper, which does not transform code: enums and the like are errors.

import { stripTypeScriptTypes } from 'node:module';
import process from 'node:process';

const blank = (text) => text.replace(/[^\n\r\u2028\u2029]/g, ' ');
// An import line, which may span several lines inside its braces.
const IMPORTS = /^[ \t]*import\b(?!\s*[(.])[^;'"]*(['"])[^'"\n]*\1[ \t]*;?/gm;

/**
 * Returns `{ text }`, or `{ unsupported }` with a message about the syntax. Returns undefined if
 * the code is not TypeScript either.
 */
export function withoutTypes(code) {
  // A top-level return is valid only in a function, and an import only outside.
  const attempts = /\breturn\b/.test(code) ? [stripInFunction, strip] : [strip, stripInFunction];
  let unsupported;
  for (const attempt of attempts) {
    try {
      return { text: attempt(code) };
    } catch (error) {
      if (error?.code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') unsupported = plainText(`${error.message}`);
    }
  }
  return unsupported === undefined ? undefined : { unsupported };
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

const plainText = (message) => `${message.replace(/ in (?:strip-only|type strip) mode/, '')
  .replace(/\.?$/, '')}: of TypeScript, only types are removed`;

const OPEN = 'async () => {';

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
