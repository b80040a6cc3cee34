// Guesses the language of code that fails as JavaScript, for the error message.

const JAVASCRIPT = [
  /^\s*(?:const|let|var)\s+[\w${[]/m,
  /=>/,
  /^\s*(?:async\s+)?function\b/m,
  /[;{]\s*$/m,
  /^\s*\/\//m,
  /\bnew\s+\w+\(|===|console\./,
];

const PYTHON = [
  /^\s*(?:async\s+)?def\s+\w+\s*\(/m,
  /^\s*(?:if|elif|for|while|with|async with|async for|try|except|else|finally|class)\b[^{}]*:\s*(?:#.*)?$/m,
  /^\s*from\s+[\w.]+\s+import\s/m,
  /^\s*import\s+\w+(?:\.\w+)*(?:\s+as\s+\w+)?(?:\s*,\s*\w+)*\s*$/m,
  /\bf(?:"[^"\n]*"|'[^'\n]*')/,
  /\b(?:None|True|False|elif|lambda)\b/,
  /^\s*#(?!!)/m,
  /^\s*print\(.*\)\s*$/m,
];

const BASH = [
  /^\s*(?:agent-browser|curl|echo|cd|ls|cat|grep|sed|awk|mkdir|rm|cp|mv|export|sudo|apt|apt-get|pip3?|npm|npx|python3?|node|git|wget|source)\s+[^=(\s]/m,
  /^\s*[A-Z_]+=\S*\s*$/m,
  /\$(?:\w+|\()/,
  /^\s*(?:then|fi|done|esac)\b/m,
  /^\s*(?:if|while|until)\s+!?\s*\[|;\s*then\b|;\s*do\b/m,
];

const SHEBANG = /^#!(?:.*[/\s])?(?:(python)|(node)|bash|dash|zsh|sh)[\d.]*(?=\s|$)/;
// Names of Python that JavaScript does not have.
const PYTHON_NAMES = /^(?:print|len|range|None|True|False) is not defined$/;
const SNAKE_CASE = /^TypeError: .*\.([a-z]+(?:_[a-z]+)+) is not a function$/;

const count = (patterns, code) => patterns.filter((pattern) => pattern.test(code)).length;

const hint = (language) => {
  const ran = 'ran as node, the default';
  if (language === 'bash') return `(${ran}; for Bash send "language": "bash")`;
  if (language === 'python') return `(${ran}; for Python send "language": "python")`;
  return `(${ran})`;
};

function hasMethod(objects, name) {
  try {
    return Object.values(objects).some((object) => typeof object?.[name] === 'function');
  } catch {
    return false; // An accessor of an object of user code threw.
  }
}

function shebang(code) {
  const [line, python, node] = code.startsWith('#!') ? SHEBANG.exec(code.split('\n', 1)[0]) ?? [] : [];
  if (line === undefined) return undefined;
  return python ?? node ?? 'bash';
}

/**
 * Returns a hint for the error of code that Node cannot parse: the language that ran, and how to
 * send the language that the code looks like.
 */
export function languageHint(code) {
  const named = shebang(code);
  if (named) return hint(named);
  const javascript = count(JAVASCRIPT, code);
  const python = count(PYTHON, code);
  const bash = count(BASH, code);
  if (bash > Math.max(python, javascript)) return hint('bash');
  return hint(python > javascript ? 'python' : 'node');
}

/**
 * Returns a hint for the error message of code that ran and failed, or undefined if the code may
 * be JavaScript. `objects` are Playwright's objects.
 */
export function runtimeHint(code, line, objects) {
  const named = shebang(code);
  if (named) return named === 'node' ? undefined : hint(named);
  const [, snake] = SNAKE_CASE.exec(line) ?? [];
  if (snake !== undefined) {
    const camel = snake.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
    return hasMethod(objects, camel) ? `(ran as node, the default, where it is ${camel}; for Python send "language": "python")` : undefined;
  }
  const message = line.replace(/^ReferenceError: /, '');
  if (message === line || !PYTHON_NAMES.test(message) || count(JAVASCRIPT, code) > 0) return undefined;
  return new RegExp(`\\b${message.split(' ', 1)[0]}\\b`).test(code) ? hint('python') : undefined;
}
