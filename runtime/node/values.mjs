// Formats the value of a cell for the response: strings unchanged, bytes as base64, plain data as
// JSON, everything else with util.inspect.
//
// Independent of frames, cells and Playwright. The caller passes a test for objects that are not
// plain data.

import { Buffer } from 'node:buffer';
import { inspect, types } from 'node:util';

// User code may replace any of these.
const { stringify } = JSON;
const { Set, Math } = globalThis;
const { isArray } = Array;
const { getPrototypeOf, keys, getOwnPropertyDescriptor, getOwnPropertySymbols } = Object;
const { defineProperty, deleteProperty } = Reflect;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
const { isFinite } = Number;
const { isAnyArrayBuffer, isArrayBufferView, isBoxedPrimitive, isUint8Array } = types;
const BufferFrom = Buffer.from;
const toText = Buffer.prototype.toString;
const { byteLength } = Buffer;
const custom = inspect.custom;
const bytePrototypes = [Buffer, Uint8Array, ArrayBuffer, SharedArrayBuffer].map((each) => each.prototype);
const isEnumerable = objectPrototype.propertyIsEnumerable.call.bind(objectPrototype.propertyIsEnumerable);
const toWellFormed = String.prototype.toWellFormed.call.bind(String.prototype.toWellFormed);

/**
 * Calls `util.inspect` and never throws, although getters, proxies and inspect functions of user
 * objects may.
 */
export function show(value) {
  try {
    return inspect(value);
  } catch {
    // Code of the object threw.
  }
  try {
    return inspect(value, { customInspect: false });
  } catch {
    return '[a value that cannot be inspected]';
  }
}

/**
 * Returns the text of a cell's value, or null if it has none. `isOpaque(object)` returns true for
 * objects whose `toJSON` is not readable.
 */
export function textOf(value, isOpaque) {
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'object') {
    try {
      if (isBytes(value)) return base64(value);
      if (isData(value, isOpaque, new Set())) return stringify(value, withBase64) ?? showWithBase64(value);
    } catch {
      // A getter or a proxy trap threw, or the nesting is too deep. Inspect it instead.
    }
    return showWithBase64(value);
  }
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number' && isFinite(value)) return stringify(value);
  return show(value);
}

/** Returns whether `value` is binary data, such as a screenshot or a body of a response. */
const isBytes = (value) => isUint8Array(value) || isAnyArrayBuffer(value);

function base64(bytes) {
  const buffer = isUint8Array(bytes) ? BufferFrom(bytes.buffer, bytes.byteOffset, bytes.byteLength) : BufferFrom(bytes);
  return toText.call(buffer, 'base64');
}

// A replacer for stringify. `item` is what the toJSON of a Buffer returned.
function withBase64(key, item) {
  const original = this[key];
  return typeof original === 'object' && original !== null && isBytes(original) ? base64(original) : item;
}

// Inspects a value that has no JSON form. Node would show only the first 50 bytes of a Buffer.
function showWithBase64(value) {
  const before = bytePrototypes.map((each) => getOwnPropertyDescriptor(each, custom));
  const ours = { configurable: true, value() { return `'${base64(this)}'`; } };
  try {
    for (const each of bytePrototypes) defineProperty(each, custom, ours);
    return show(value);
  } finally {
    bytePrototypes.forEach((each, index) => {
      if (before[index]) defineProperty(each, custom, before[index]);
      else deleteProperty(each, custom);
    });
  }
}

/**
 * Returns whether JSON can represent `value`. As in JSON.stringify, undefined is dropped from
 * objects and null in arrays.
 */
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
  if (isBytes(value)) return true;
  if (isArrayBufferView(value) || isBoxedPrimitive(value)) return false;
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
  // Names come after indexes. If the last key is a name, JSON would lose it (such as `groups` of a
  // match).
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
 * Truncates `text` to `limitBytes` of UTF-8. Keeps its head and its tail, with a marker between
 * them. Lone surrogates become U+FFFD because a frame must be valid UTF-8. Returns `{ text,
 * truncated }`.
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
