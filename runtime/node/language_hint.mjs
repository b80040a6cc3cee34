// Guesses the language of code that does not parse, for the error message.

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
  /^#!.*\b(?:ba|da|z)?sh\b/,
  /^\s*(?:agent-browser|curl|echo|cd|ls|cat|grep|sed|awk|mkdir|rm|cp|mv|export|sudo|apt|apt-get|pip3?|npm|npx|python3?|node|git|wget|source)\s+[^=(\s]/m,
  /^\s*[A-Z_]+=\S*\s*$/m,
  /\$(?:\w+|\()/,
  /^\s*(?:then|fi|done|esac)\b/m,
  /^\s*(?:if|while|until)\s+!?\s*\[|;\s*then\b|;\s*do\b/m,
];

const count = (patterns, code) => patterns.filter((pattern) => pattern.test(code)).length;

/**
 * Returns a hint for the error of code that Node cannot parse: the language that ran, and how to
 * send the language that the code looks like.
 */
export function languageHint(code) {
  const javascript = count(JAVASCRIPT, code);
  const python = count(PYTHON, code);
  const bash = count(BASH, code);
  const ran = 'ran as node, the default';
  if (bash > Math.max(python, javascript)) return `(${ran}; for Bash send "language": "bash")`;
  if (python > javascript) return `(${ran}; for Python send "language": "python")`;
  return `(${ran})`;
}
