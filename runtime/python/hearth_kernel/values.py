"""Formats the value of a cell for the response.

Strings stay unchanged, bytes become base64, plain data JSON, and everything else its repr, with
base64 for the bytes in its containers.
Independent of frames, cells and Playwright.
"""

import base64
import json
import math

_dumps = json.dumps
_isfinite = math.isfinite
_BYTES = (bytes, bytearray, memoryview)
_encode = base64.b64encode


def _base64(value):
    return _encode(value).decode("ascii")


def text_of(value):
    """Returns the text of a cell's value, or None if it has none."""
    if value is None:
        return None
    if type(value) is str:
        return value
    if type(value) in _BYTES:
        return _base64(value)
    try:
        if _is_data(value, set()):
            return _dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_base64)
    except (ValueError, RecursionError):
        pass  # too deeply nested, or an integer that is too long for text
    try:
        return show(_without_bytes(value, {}))
    except Exception:
        return show(value)  # too deeply nested


def show(value):
    """Returns `repr(value)` as a str and never raises."""
    try:
        return str(repr(value))
    except BaseException as error:
        return f"<{type(value).__name__} object whose repr raised {type(error).__name__}>"


def _without_bytes(value, copies):
    """Returns a copy of nested lists, tuples, dicts and sets with base64 instead of bytes."""
    kind = type(value)
    if kind in _BYTES:
        return _base64(value)
    if kind in (tuple, set, frozenset):
        return kind([_without_bytes(item, copies) for item in value])
    if kind is not list and kind is not dict:
        return value
    copy = copies.get(id(value))
    if copy is None:
        copy = copies[id(value)] = kind()
        if kind is list:
            copy.extend(_without_bytes(item, copies) for item in value)
        else:
            copy.update((name, _without_bytes(item, copies)) for name, item in value.items())
    return copy


def _is_data(value, ancestors):
    # Only exact types: JSON cannot represent an enum, a named tuple or a defaultdict.
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None or kind in _BYTES:
        return True
    if kind is float:
        return _isfinite(value)
    if kind is not list and kind is not tuple and kind is not dict:
        return False
    key = id(value)
    if key in ancestors:
        return False
    ancestors.add(key)
    if kind is dict:
        plain = all(type(name) is str and _is_data(item, ancestors) for name, item in value.items())
    else:
        plain = all(_is_data(item, ancestors) for item in value)
    ancestors.discard(key)
    return plain


def well_formed(text):
    """Joins surrogate pairs and replaces lone surrogates, because a frame must be valid UTF-8."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def bound(text, limit_bytes):
    """Truncates `text` to `limit_bytes` of UTF-8 and returns (text, truncated).

    Keeps the head and the tail, with a marker between them.
    """
    if text is None:
        return None, False
    text = well_formed(text)
    data = text.encode("utf-8")
    total = len(data)
    if total <= limit_bytes:
        return text, False
    room = max(0, limit_bytes - len(_marker(total).encode("utf-8")))
    head_end = (room + 1) // 2
    while head_end > 0 and data[head_end] & 0xC0 == 0x80:
        head_end -= 1
    tail_start = total - room // 2
    while tail_start < total and data[tail_start] & 0xC0 == 0x80:
        tail_start += 1
    head, tail = data[:head_end].decode("utf-8"), data[tail_start:].decode("utf-8")
    return head + _marker(tail_start - head_end) + tail, True


def _marker(dropped):
    return f"\n… [{dropped} bytes dropped] …\n"
