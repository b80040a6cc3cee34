// Recognizes code that is shaped like a standalone script or like a function: a call that the code
// does not await, an exported function, and calls whose return value is not a result.
//
// Works on acorn's syntax tree. Independent of evaluation.

const FUNCTION = /^(?:Arrow)?Function(?:Expression|Declaration)$/;
// Names of the session's objects, as parameters.
const OBJECTS = ['page', 'context', 'browser'];

/**
 * Returns the shape of a program:
 *
 * - `waits`: a promise as its value is awaited, because the code neither assigns nor declares it.
 * - `isFunction`: it consists of one function expression.
 * - `exportsCommon`: it assigns `module.exports`.
 * - `isWrite`: its value is the return value of a write.
 * - `called`: the names of functions that it calls, or passes to another function.
 */
export function shapeOf(program) {
  const finals = finalExpressions(program.body);
  const [only] = program.body;
  const isSingle = program.body.filter((node) => node.type !== 'EmptyStatement').length === 1;
  return {
    waits: finals.some((node) => node.type !== 'AssignmentExpression' || isExport(node.left)),
    isFunction: isSingle && only.type === 'ExpressionStatement' && FUNCTION.test(only.expression.type),
    exportsCommon: program.body.some((node) => isExportStatement(node) || isHiddenExport(node)),
    isWrite: finals.length === 1 && isWrite(finals[0]),
    called: calledNames(program),
  };
}

/**
 * Returns the last statement and its operator if it is `void main()`, `void (async () => {…})()` or
 * `!async function () {…}()`. Linters require the first form for a promise that nothing awaits.
 */
export function voidedCall(program) {
  const node = program.body.findLast((each) => !isDeclaration(each));
  if (node?.type !== 'ExpressionStatement' || node.expression.type !== 'UnaryExpression') return undefined;
  const { operator, argument } = node.expression;
  if (argument.type !== 'CallExpression') return undefined;
  const { callee } = argument;
  const isVoided = operator === 'void' ? callee.type === 'Identifier' || FUNCTION.test(callee.type)
    : FUNCTION.test(callee.type) && callee.async;
  return isVoided ? { node, operator } : undefined;
}

/**
 * Returns the assignments of exports after the last other expression. Their value hides that of
 * `main()`.
 */
export function finalExports(program) {
  const nodes = program.body.filter((node) => !isDeclaration(node));
  const last = nodes.findLastIndex((node) => !isExportStatement(node) && !isNamedExport(node));
  return valuesOf(nodes[last]).length > 0 ? nodes.slice(last + 1) : [];
}

const isExportStatement = ({ type, expression }) => type === 'ExpressionStatement' && assignsExports(expression);

// `exports.name = …` exports a value, but does not make it the result.
const isNamedExport = ({ expression }) => expression?.type === 'AssignmentExpression'
  && expression.left.type === 'MemberExpression' && isExportsObject(expression.left.object);

// An assignment that source.mjs has rewritten.
const isHiddenExport = ({ type, declarations }) => type === 'VariableDeclaration'
  && declarations[0].init?.type === 'ArrayExpression' && declarations[0].init.elements.some((each) => each !== null && assignsExports(each));

function calledNames(program) {
  const names = new Set();
  const bodies = bodiesOf(program);
  // Reaches the functions that are called, or passed to a function that may call them.
  const reach = (node) => {
    if (node.type === 'Identifier') names.add(node.name);
    else if (FUNCTION.test(node.type)) visit(node.body);
  };
  const visit = (node) => {
    if (typeof node?.type !== 'string' || /Function|^Class/.test(node.type)) return;
    if (/^(?:Call|New)Expression$/.test(node.type)) [node.callee, ...node.arguments].forEach(reach);
    for (const child of Object.values(node)) {
      if (Array.isArray(child)) child.forEach(visit);
      else if (child !== null && typeof child === 'object') visit(child);
    }
  };
  visit(program);
  for (const name of names) visit(bodies.get(name));
  return names;
}

// Returns the bodies of the program's own functions by name.
function bodiesOf({ body }) {
  const variables = body.flatMap((node) => (node.type === 'VariableDeclaration' ? node.declarations : []));
  const named = [...body.map((node) => [node.id, node]), ...variables.map(({ id, init }) => [id, init])];
  return new Map(named.filter(([id, node]) => id && node && FUNCTION.test(node.type)).map(([id, node]) => [id.name, node.body]));
}

/**
 * Returns the arguments for a function that gets the session's objects, from its syntax tree. Each
 * is the name of an object, or `all` for an object with all of them. Returns undefined if the
 * parameters do not tell.
 */
export function argumentsOf({ params, body }, text) {
  const known = params.map((param) => argumentOf(param.type === 'AssignmentPattern' ? param.left : param));
  if (known[0] !== undefined || params.length === 0) return known.map((each) => each ?? 'none');
  const [{ name }] = params;
  // A parameter of any name is the page, unless the function takes objects out of it.
  const inside = text.slice(body.start, body.end);
  const takesOut = new RegExp(`\\b${name}\\s*\\??\\.\\s*page\\b|\\}\\s*=\\s*${name}\\b`);
  return name === undefined ? undefined : [takesOut.test(inside) ? 'all' : 'page', ...known.slice(1).map((each) => each ?? 'none')];
}

/** Returns whether a function declares a parameter with the name of an object of the session. */
export function wantsObjects({ params: [first] }) {
  if (first === undefined) return false;
  if (first.type === 'Identifier') return OBJECTS.includes(first.name);
  return first.type === 'ObjectPattern' && first.properties.some((each) => OBJECTS.includes(each.key?.name));
}

function argumentOf(param) {
  if (param.type === 'ObjectPattern') return 'all';
  return param.type === 'Identifier' && OBJECTS.includes(param.name) ? param.name : undefined;
}

// Statements that have no value.
const isDeclaration = ({ type }) => /^(?:Function|Class|Variable)Declaration$/.test(type) || type === 'EmptyStatement';

// Returns the expressions that can be the value of the statements.
function finalExpressions(statements) {
  return valuesOf(statements.findLast((each) => !isDeclaration(each)));
}

function valuesOf(node) {
  switch (node?.type) {
    case 'ExpressionStatement': return [node.expression];
    case 'BlockStatement': return finalExpressions(node.body);
    case 'IfStatement': return [...valuesOf(node.consequent), ...valuesOf(node.alternate)];
    case 'TryStatement': return [...finalExpressions(node.block.body), ...valuesOf(node.handler?.body)];
    case 'LabeledStatement':
    case 'ForStatement':
    case 'ForInStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement': return valuesOf(node.body);
    default: return [];
  }
}

const memberName = (node) => (node.computed ? node.property.value : node.property.name);

function isExport(target) {
  if (target.type !== 'MemberExpression') return false;
  const { object } = target;
  if (object.type === 'MemberExpression') return isExport(object) && memberName(target) === 'default';
  return object.type === 'Identifier' && ((object.name === 'module' && memberName(target) === 'exports')
    || (object.name === 'exports' && memberName(target) === 'default'));
}

const isExportsObject = (node) => (node.type === 'Identifier' ? node.name === 'exports'
  : node.type === 'MemberExpression' && node.object.name === 'module' && memberName(node) === 'exports');

function assignsExports(node) {
  if (node.type !== 'AssignmentExpression') return false;
  // `exports = module.exports = …`
  return isExport(node.left) || assignsExports(node.right);
}

// stream.write() returns a boolean, fs.writeSync() a number, and execSync() null if its output was
// not piped.
function isWrite(node) {
  if (node.type === 'AwaitExpression') return isWrite(node.argument);
  if (node.type === 'ChainExpression') return isWrite(node.expression);
  if (node.type !== 'CallExpression') return false;
  const { callee } = node;
  if (callee.type === 'Identifier') return /^(?:writeSync|execSync|execFileSync)$/.test(callee.name);
  return callee.type === 'MemberExpression' && /^(?:write|writeSync|execSync|execFileSync)$/.test(memberName(callee));
}
