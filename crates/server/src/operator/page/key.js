// The key that requests carry. The operator page and the workbench share it until the tab is closed.

import { setText } from './words.js';

const KEY_ITEM = 'hearth-key';
/** A key, which consists of the characters that are valid in a header. */
const KEY_FORM = /^[\x21-\x7e]+$/;

let key = sessionStorage.getItem(KEY_ITEM) ?? '';

/** Returns the key, or an empty string. */
export function currentKey() {
  return key;
}

/** Keeps a key. An empty one is forgotten. */
export function setKey(text) {
  key = text;
  if (key) sessionStorage.setItem(KEY_ITEM, key);
  else sessionStorage.removeItem(KEY_ITEM);
}

/** Keeps the key that was entered in the form and returns true, or explains why it is invalid. */
export function takeKey() {
  const field = document.getElementById('key');
  const rejection = document.getElementById('rejection');
  const text = field.value.trim();
  field.value = '';
  const isValid = KEY_FORM.test(text);
  setText(rejection, isValid ? '' : 'A key contains only ASCII letters, digits and punctuation.');
  if (isValid) setKey(text);
  return isValid;
}
