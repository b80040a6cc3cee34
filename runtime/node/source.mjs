// Rewrites code that V8's REPL mode does not accept: import lines, exports, a top-level return, and
// redeclarations with another keyword. Line numbers never change.
//
// Edits text at positions found by acorn. Independent of the inspector.

import { IMPORT_NAME, META_NAME } from './modules.mjs';
import { argumentsOf, finalExports, shapeOf, voidedCall, wantsObjects } from './shape.mjs';

const OPTIONS = {
  ecmaVersion: 'latest',
  sourceType: 'script',
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
  allowReturnOutsideFunction: true,
  allowHashBang: true,
};

const { stringify } = JSON;
const blank = (text) => text.replace(/[^\n\r\u2028\u2029]/g, ' ');
const blanked = (code, start, end) => ({ start, end, text: blank(code.slice(start, end)) });

/** Rewrites cells. `acorn` is the loaded module. */
export class Rewriter {
  #acorn;

  constructor(acorn) {
    this.#acorn = acorn;
  }

  /**
   * Rewrites imports and exports. Returns `{ text }`, with `syntaxError: { message, line, column }`
   * if acorn cannot parse it. In TypeScript, an imported name that does not exist is a type.
   */
  modules(code, isTypeScript) {
    if (!/\b(?:import|export)\b/.test(code)) return { text: code };
    try {
      return { text: withoutModules(this.#acorn.parse(code, OPTIONS), code, isTypeScript) };
    } catch (error) {
      return { text: code, syntaxError: asSyntaxError(error) };
    }
  }

  /**
   * Rewrites a top-level return. As the last statement, it becomes the value of the cell, and the
   * variables of the cell remain. Otherwise the whole cell becomes the body of a function.
   */
  returning(code) {
    const text = code.replace(/^#!.*/, blank);
    try {
      const returned = lastReturn(this.#acorn.parse(text, OPTIONS));
      if (returned) return asValue(text, returned);
    } catch {
      // V8 will report the error.
    }
    return `await (async () => {${text}\n})()`;
  }

  /** Returns the shape of a cell (see shape.mjs), or undefined if acorn cannot parse it. */
  shape(text) {
    try {
      return shapeOf(this.#acorn.parse(text, OPTIONS));
    } catch {
      return undefined;
    }
  }

  /**
   * Makes the value of `main()` the value of the cell, although assignments of exports follow.
   */
  withoutExportValue(text) {
    try {
      const edits = finalExports(this.#acorn.parse(text, OPTIONS)).flatMap(({ start, expression: { end } }) => [
        { start, end: start, text: ';const {} = [' },
        { start: end, end, text: ']' },
      ]);
      return apply(text, edits);
    } catch {
      return text;
    }
  }

  /**
   * Makes the promise of a final `void main()` the value of the cell. Returns undefined if the cell
   * does not end with one.
   */
  unvoided(text) {
    try {
      const found = voidedCall(this.#acorn.parse(text, OPTIONS));
      if (!found) return undefined;
      const { node: { start, expression }, operator: { length } } = found;
      return apply(text, [
        { start, end: start + length, text: ';(' },
        { start: expression.end, end: expression.end, text: ')' },
      ]);
    } catch {
      return undefined;
    }
  }

  /**
   * Returns what a function expects as arguments (see shape.mjs), from its source, and `isEntryPoint`:
   * whether a cell that consists of it is called.
   */
  parameters(source) {
    try {
      const text = `(${source})`;
      const { expression } = this.#acorn.parse(text, OPTIONS).body[0];
      const named = argumentsOf(expression, text) ?? ['all'];
      return { named, isEntryPoint: expression.async || wantsObjects(expression) };
    } catch {
      return { named: ['all'], isEntryPoint: false };
    }
  }

  /**
   * Returns variants of `text` that declare `name` with another keyword, because an earlier cell
   * used a different one.
   */
  redeclaring(text, name) {
    try {
      return alternatives(this.#acorn.parse(text, OPTIONS), text, name);
    } catch {
      return [];
    }
  }
}

function withoutModules(program, code, isTypeScript) {
  const edits = [];
  const hoisted = [];
  for (const node of program.body) rewriteModuleItem(node, code, edits, hoisted, isTypeScript);
  walk(program, (node) => {
    const { start, end, type } = node;
    if (type === 'MetaProperty' && node.meta.name === 'import') edits.push({ start, end, text: META_NAME });
    return true;
  });
  if (hoisted.length > 0) {
    const at = hoistPosition(program, code);
    edits.push({ start: at, end: at, text: `;${hoisted.join(' ')}` });
  }
  return apply(code, edits);
}

// Returns the return statement that ends the program, if it is the only one at the top level.
function lastReturn(program) {
  let returns = 0;
  walk(program, (node) => {
    if (node.type === 'ReturnStatement') returns += 1;
    return !/Function|^Class/.test(node.type);
  });
  const last = program.body.at(-1);
  return returns === 1 && last.type === 'ReturnStatement' ? last : undefined;
}

function asValue(text, { start, end, argument }) {
  if (argument === null) return apply(text, [{ start, end, text: ';void 0;' }]);
  const close = text[end - 1] === ';' ? end - 1 : end;
  return apply(text, [
    { start, end: start + 'return'.length, text: ';await (' },
    { start: close, end: close, text: ')' },
  ]);
}

function alternatives(program, text, name) {
  const declarations = program.body.filter((node) => declaredNames(node).includes(name));
  if (declarations.length !== 1) return [];
  const [node] = declarations;
  // Code that assigns to the name would fail if it were a const.
  const keywords = ['let', 'var', 'const'].filter((keyword) => keyword !== node.kind
    && (keyword !== 'const' || !isReassigned(program, name)));
  return keywords.map((keyword) => redeclared(text, node, name, keyword));
}

function asSyntaxError(error) {
  return {
    message: `${error.message}`.replace(/ \(\d+:\d+\)$/, ''),
    line: (error.loc?.line ?? 1) - 1,
    column: error.loc?.column ?? 0,
  };
}

function apply(code, edits) {
  let text = code;
  for (const edit of [...edits].sort((a, b) => b.start - a.start || b.end - a.end)) {
    text = text.slice(0, edit.start) + edit.text + text.slice(edit.end);
  }
  return text;
}

function walk(node, visit) {
  if (!visit(node)) return;
  for (const key of Object.keys(node)) {
    const child = node[key];
    if (Array.isArray(child)) {
      for (const item of child) if (typeof item?.type === 'string') walk(item, visit);
    } else if (typeof child?.type === 'string') {
      walk(child, visit);
    }
  }
}

// Returns the position for hoisted imports. They run first, but after a hashbang and directives.
function hoistPosition(program, code) {
  const first = program.body.findIndex((node) => !node.directive);
  const node = program.body[first];
  if (node.type === 'ImportDeclaration') return node.start;
  if (first > 0) return program.body[first - 1].end;
  return code.startsWith('#!') ? Math.max(code.indexOf('\n'), 0) + 1 : 0;
}

const nameText = (node) => (node.type === 'Literal' ? stringify(node.value) : node.name);
const optionsText = (node) => (node.attributes?.length > 0
  ? `, { with: { ${node.attributes.map((each) => `${nameText(each.key)}: ${stringify(each.value.value)}`).join(', ')} } }`
  : '');

function rewriteModuleItem(node, code, edits, hoisted, isTypeScript) {
  switch (node.type) {
    case 'ImportDeclaration':
      hoisted.push(importText(node, isTypeScript));
      edits.push(blanked(code, node.start, node.end));
      break;
    case 'ExportNamedDeclaration':
      if (node.declaration) {
        edits.push(blanked(code, node.start, node.declaration.start));
        break;
      }
    // falls through: like `export *`, a list of names declares nothing
    case 'ExportAllDeclaration':
      if (node.source) hoisted.push(`const {} = await ${IMPORT_NAME}(${stringify(node.source.value)}${optionsText(node)});`);
      edits.push(withoutNames(node, code));
      break;
    case 'ExportDefaultDeclaration': {
      const { declaration } = node;
      const isNamed = /Declaration$/.test(declaration.type) && declaration.id;
      const gap = blanked(code, node.start, declaration.start);
      // A declaration has no value, so `main()` before it is the value of the cell.
      const assign = `const {} = [${IMPORT_NAME}.default = `;
      edits.push(isNamed ? gap : { ...gap, text: `;${assign}(${gap.text}` });
      const close = isNamed ? `;${assign}${declaration.id.name}];` : ')];';
      edits.push({ start: declaration.end, end: declaration.end, text: close });
      break;
    }
  }
}

// Removes the names of an export, but exports one as the default.
function withoutNames(node, code) {
  const { start, end, text } = blanked(code, node.start, node.end);
  const isDefault = ({ exported }) => nameText(exported) === 'default' || nameText(exported) === '"default"';
  const renamed = node.source ? undefined : node.specifiers?.find(isDefault);
  return { start, end, text: renamed ? `;const {} = [${IMPORT_NAME}.default = ${renamed.local.name}];${text}` : text };
}

// Returns declarations only, so that an import line does not become the value of the cell.
function importText(node, isTypeScript) {
  const source = stringify(node.source.value);
  const space = node.specifiers.find((each) => each.type === 'ImportNamespaceSpecifier');
  const named = node.specifiers.filter((each) => each !== space)
    .map((each) => ({ imported: each.imported ? nameText(each.imported) : 'default', local: each.local.name }));
  const names = named.map(({ imported }) => (imported.startsWith('"') ? imported : stringify(imported))).join(', ');
  const pattern = named.map((each) => `${each.imported}: ${each.local}`).join(', ');
  const load = isTypeScript
    ? `await ${IMPORT_NAME}(${source}${optionsText(node)})`
    : `await ${IMPORT_NAME}.named(${source}, [${names}]${optionsText(node)})`;
  if (!space) return `const { ${pattern} } = ${load};`;
  const whole = `const ${space.local.name} = await ${IMPORT_NAME}(${source}${optionsText(node)});`;
  return named.length > 0 ? `${whole} const { ${pattern} } = ${load};` : whole;
}

function patternNames(pattern) {
  switch (pattern?.type) {
    case 'Identifier': return [pattern.name];
    case 'ObjectPattern': return pattern.properties.flatMap((each) => patternNames(each.value ?? each.argument));
    case 'ArrayPattern': return pattern.elements.flatMap(patternNames);
    case 'AssignmentPattern': return patternNames(pattern.left);
    case 'RestElement': return patternNames(pattern.argument);
    default: return [];
  }
}

function declaredNames(node) {
  if (node.type === 'VariableDeclaration') return node.declarations.flatMap((each) => patternNames(each.id));
  return (node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') && node.id ? [node.id.name] : [];
}

function isReassigned(program, name) {
  let found = false;
  walk(program, (node) => {
    if (node.type === 'AssignmentExpression') found ||= patternNames(node.left).includes(name);
    if (node.type === 'UpdateExpression') found ||= node.argument.name === name;
    if (/^For(In|Of)Statement$/.test(node.type)) found ||= patternNames(node.left).includes(name);
    return !found;
  });
  return found;
}

// Splits `const a = 1, b = 2` into one declaration per name, because earlier cells may have used
// different keywords.
function splitDeclarators(text, node, keywordOf) {
  return node.declarations.map((each, index) => {
    const before = node.declarations[index - 1];
    if (!before) return { start: node.start, end: node.start + node.kind.length, text: keywordOf(each) };
    const between = text.slice(before.end, each.start);
    return { start: before.end, end: each.start, text: between.replace(',', `; ${keywordOf(each)} `) };
  });
}

function redeclared(text, node, name, keyword) {
  if (node.type === 'VariableDeclaration') {
    const keywordOf = (each) => (patternNames(each.id).includes(name) ? keyword : node.kind);
    return apply(text, splitDeclarators(text, node, keywordOf));
  }
  const opening = `;${keyword} ${name} = (`;
  const inPlace = [{ start: node.start, end: node.start, text: opening }, { start: node.end, end: node.end, text: ');' }];
  if (node.type === 'ClassDeclaration') return apply(text, inPlace);
  // A function exists before the first statement runs, so it moves to the front if that keeps the
  // line numbers.
  const at = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
  const body = text.slice(node.start, node.end);
  if (/[\n\r]/.test(body)) return apply(text, inPlace);
  return apply(text, [
    { start: at, end: at, text: `${opening}${body});` },
    { start: node.start, end: node.end, text: blank(body) },
  ]);
}
