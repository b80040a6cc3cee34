// What a cell's value looks like on the wire: strings as they are, plain data as JSON, everything else as util.inspect
// shows it. Must not know frames, cells or Playwright (the caller says which objects only look like data).

import { Buffer } from 'node:buffer';
import { inspect, types } from 'node:util';

// Captured: user code may replace any of these.
const { stringify } = JSON;
const { Set, Math } = globalThis;
const { isArray } = Array;
const { getPrototypeOf, keys, getOwnPropertySymbols } = Object;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
const { isFinite } = Number;
const { isAnyArrayBuffer, isArrayBufferView, isBoxedPrimitive } = types;
const BufferFrom = Buffer.from;
const { byteLength } = Buffer;
const isEnumerable = objectPrototype.propertyIsEnumerable.call.bind(objectPrototype.propertyIsEnumerable);
const toWellFormed = String.prototype.toWellFormed.call.bind(String.prototype.toWellFormed);

/** `util.inspect` that never throws: user objects bring their own getters, proxies and inspect functions. */
export function show(value) {
  try {
    return inspect(value);
  } catch {
    // falls through: the object's own code threw
  }
  try {
    return inspect(value, { customInspect: false });
  } catch {
    return '[a value that cannot be shown]';
  }
}

/**
 * The text of a cell's value, or null when it has none. `isOpaque(object)` names objects whose `toJSON` is not
 * meant for people.
 */
export function textOf(value, isOpaque) {
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'object') {
    try {
      if (isData(value, isOpaque, new Set())) return stringify(value) ?? show(value);
    } catch {
      // a throwing getter, a proxy's trap, nesting too deep: show it instead
    }
    return show(value);
  }
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number' && isFinite(value)) return stringify(value);
  return show(value);
}

/** Whether JSON says all of `value`. As in JSON itself, undefined is dropped from objects and null in arrays. */
function isData(value, isOpaque, ancestors) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true;
    case 'number':
      return isFinite(value);
    case 'object':
      return value === null || isDataObject(value, isOpaque, ancestors);
    default:
      return false;
  }
}

function isDataObject(value, isOpaque, ancestors) {
  if (ancestors.has(value) || isOpaque(value)) return false;
  if (isArrayBufferView(value) || isAnyArrayBuffer(value) || isBoxedPrimitive(value)) return false;
  ancestors.add(value);
  const plain = typeof value.toJSON === 'function'
    ? isData(value.toJSON(''), isOpaque, ancestors)
    : isArray(value) ? isDataArray(value, isOpaque, ancestors) : isDataRecord(value, isOpaque, ancestors);
  ancestors.delete(value);
  return plain;
}

function isDataArray(value, isOpaque, ancestors) {
  if (getPrototypeOf(value) !== arrayPrototype) return false;
  for (let index = 0; index < value.length; index += 1) {
    if (!isData(value[index], isOpaque, ancestors)) return false;
  }
  // Names come after indexes: a last key that is no index is something JSON would lose (a match's `groups`).
  const last = keys(value).at(-1);
  return last === undefined || `${last >>> 0}` === last;
}

function isDataRecord(value, isOpaque, ancestors) {
  const prototype = getPrototypeOf(value);
  if (prototype !== null && prototype !== objectPrototype) return false;
  for (const key of keys(value)) {
    if (!isData(value[key], isOpaque, ancestors)) return false;
  }
  return !getOwnPropertySymbols(value).some((symbol) => isEnumerable(value, symbol));
}

/**
 * Bounds `text` to `limitBytes` of UTF-8: head and tail stay, a marker stands between.
 * Lone surrogates become U+FFFD, for a frame must be valid UTF-8. Returns `{ text, truncated }`.
 */
export function bound(text, limitBytes) {
  if (text === null) return { text, truncated: false };
  const wellFormed = toWellFormed(text);
  const total = byteLength(wellFormed, 'utf8');
  if (total <= limitBytes) return { text: wellFormed, truncated: false };
  const marker = (dropped) => `\n… [${dropped} bytes dropped] …\n`;
  const room = Math.max(0, limitBytes - byteLength(marker(total), 'utf8'));
  const bytes = BufferFrom(wellFormed, 'utf8');
  const continues = (index) => (bytes[index] & 0xc0) === 0x80;
  let headEnd = Math.ceil(room / 2);
  while (headEnd > 0 && continues(headEnd)) headEnd -= 1;
  let tailStart = total - Math.floor(room / 2);
  while (tailStart < total && continues(tailStart)) tailStart += 1;
  const head = bytes.toString('utf8', 0, headEnd);
  const tail = bytes.toString('utf8', tailStart, total);
  return { text: head + marker(tailStart - headEnd) + tail, truncated: true };
}
