"""Guesses the language of code that does not parse, for the error message."""

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
    r"\A#!.*\b(ba|da|z)?sh\b",
    r"^\s*(agent-browser|curl|echo|cd|ls|cat|grep|sed|awk|mkdir|rm|cp|mv|export|sudo|apt|apt-get|pip3?|npm|npx"
    r"|python3?|node|git|wget|source)\s+[^=(\s]",
    r"^\s*[A-Z_]+=\S*\s*$",
    r"\$(\w+|\()",
    r"^\s*(then|fi|done|esac)\b",
    r"^\s*(if|while|until)\s+!?\s*\[|;\s*then\b|;\s*do\b",
]


def _count(patterns, code):
    return sum(re.search(pattern, code, re.MULTILINE) is not None for pattern in patterns)


def language_hint(code):
    """Returns a hint for the error of code that Python cannot parse.

    It names the language that ran, and how to send the language that the code looks like.
    """
    python, javascript, bash = (_count(patterns, code) for patterns in (_PYTHON, _JAVASCRIPT, _BASH))
    if bash > max(python, javascript):
        return '(ran as python; for Bash send "language": "bash")'
    if javascript > python:
        return '(ran as python; for JavaScript send "language": "node")'
    return "(ran as python)"
