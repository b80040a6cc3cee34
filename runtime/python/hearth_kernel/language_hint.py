"""Guesses the language of code that fails as Python, for the error message."""

import re

_PYTHON = [
    r"^\s*(async\s+)?def\s+\w+\s*\(",
    r"^\s*(if|elif|for|while|with|try|except|else|finally|class|async with|async for)\b[^{}]*:\s*(#.*)?$",
    r"^\s*from\s+[\w.]+\s+import\s",
    r"^\s*import\s+\w+(\.\w+)*\s*$",
    r"\b(None|True|False|elif|lambda)\b",
    r"^\s*print\(.*\)\s*$",
]
_JAVASCRIPT = [
    r"^\s*(const|let|var)\s+[\w${\[]",
    r"=>",
    r"^\s*(async\s+)?function\b",
    r"[;{]\s*$",
    r"^\s*//",
    r"\bnew\s+\w+\(|===|console\.",
    r"^\s*import\s.*\bfrom\s+['\"]",
    r"\b(await|return)\s+\w+\(\s*\(\)",
]
_BASH = [
    r"^\s*(agent-browser|curl|echo|cd|ls|cat|grep|sed|awk|mkdir|rm|cp|mv|export|sudo|apt|apt-get|pip3?|npm|npx"
    r"|python3?|node|git|wget|source)\s+[^=(\s]",
    r"^\s*[A-Z_]+=\S*\s*$",
    r"\$(\w+|\()",
    r"^\s*(then|fi|done|esac)\b",
    r"^\s*(if|while|until)\s+!?\s*\[|;\s*then\b|;\s*do\b",
]
_SHEBANG = re.compile(r"#!(?:.*[/\s])?(?:(python)|(node)|bash|dash|zsh|sh)[\d.]*(?=\s|$)")
_HINTS = {
    "python": "(ran as python)",
    "node": '(ran as python; for JavaScript send "language": "node")',
    "bash": '(ran as python; for Bash send "language": "bash")',
}
# Names of JavaScript and of browsers that are no likely names in Python.
_JAVASCRIPT_NAMES = {"console", "const", "document", "require", "undefined", "JSON"}
_WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _count(patterns, code):
    return sum(re.search(pattern, code, re.MULTILINE) is not None for pattern in patterns)


def _shebang(code):
    """Returns the language of the program in the first line, or None."""
    found = _SHEBANG.match(code.partition("\n")[0])
    return found and (found[1] or found[2] or "bash")


def language_hint(code):
    """Returns a hint for the error of code that Python cannot parse.

    It names the language that ran, and how to send the language that the code looks like.
    """
    named = _shebang(code)
    if named:
        return _HINTS[named]
    python, javascript, bash = (_count(patterns, code) for patterns in (_PYTHON, _JAVASCRIPT, _BASH))
    if bash > max(python, javascript):
        return _HINTS["bash"]
    return _HINTS["node" if javascript > python else "python"]


def runtime_hint(code, error):
    """Returns a hint for an error of code that ran, or None if the code may be Python."""
    named = _shebang(code)
    if named:
        return None if named == "python" else _HINTS[named]
    if type(error) is NameError:
        name = error.name
        is_named = name in _JAVASCRIPT_NAMES and re.search(rf"\b{name}\b", code)
        return _HINTS["node"] if is_named and not _count(_PYTHON, code) else None
    if type(error) is AttributeError and isinstance(error.name, str):
        kind = type(error.obj)
        name = _WORD_STARTS.sub("_", error.name).lower()
        if name != error.name and kind.__module__.startswith("playwright.") and hasattr(kind, name):
            return f'(ran as python, where it is {name}; for JavaScript send "language": "node")'
    return None
