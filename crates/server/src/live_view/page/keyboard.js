// Keyboard input. Turns keys, composed text and paste in an invisible text field into messages.

const CONTROL = 2;
/**
 * The content of the field between inputs. It is not empty, because phones report a deletion only
 * if there is text to delete. It is not a word, because phones would autocorrect it.
 */
const FILLER = '  ';
/**
 * The maximum length of the text in a message. With any characters, such a message is below the
 * size limit of the server.
 */
const PIECE_LENGTH = 100_000;

const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Keys that are left to the viewer's browser and system. */
const LOCAL_KEYS = /^(F1[12]|Audio|Media|Browser|Launch|Brightness|PrintScreen|Power|AltGraph|Fn)/;
/** Keys that are left to the viewer's browser with Control or Command: zoom, and its address bar. */
const LOCAL_SHORTCUTS = ['+', '-', '=', '0', 'l'];

/** The key, code, key code and modifiers of input types that phone keyboards send without a key. */
const KEYS_OF_INPUT = {
  deleteContentBackward: ['Backspace', 'Backspace', 8, 0],
  deleteContentForward: ['Delete', 'Delete', 46, 0],
  deleteWordBackward: ['Backspace', 'Backspace', 8, CONTROL],
  deleteWordForward: ['Delete', 'Delete', 46, CONTROL],
  insertLineBreak: ['Enter', 'Enter', 13, 0],
  insertParagraph: ['Enter', 'Enter', 13, 0],
};

/**
 * Returns the modifier bits of the protocol. Command on a Mac is sent as Control, because the
 * session's browser runs on Linux.
 */
export function modifiersOf(event) {
  const control = event.ctrlKey || (isApple && event.metaKey);
  const meta = event.metaKey && !isApple;
  return (event.altKey ? 1 : 0) | (control ? 2 : 0) | (meta ? 4 : 0) | (event.shiftKey ? 8 : 0);
}

/**
 * Starts listening. Calls `leave()` when the viewer presses the keys that leave the page. Returns a
 * function that releases held keys without a message.
 */
export function listenToKeyboard(field, send, leave) {
  const sendText = (text) => {
    for (const piece of pieces(text.replace(/\r\n?/g, '\n'))) send({ type: 'text', text: piece });
  };
  const releaseKeys = listenToKeys(field, send, sendText, leave);
  listenToText(field, send, sendText);
  return releaseKeys;
}

function listenToKeys(field, send, sendText, leave) {
  /** The pressed keys whose release was not sent yet. */
  const held = new Map();
  const release = (name, modifiers) => {
    const message = held.get(name);
    if (!message) return;
    held.delete(name);
    send({ ...message, kind: 'up', repeat: false, modifiers });
  };
  const releaseAll = () => [...held.keys()].forEach((name) => release(name, 0));

  field.addEventListener('keydown', (event) => {
    if (isLeaving(event)) {
      event.preventDefault();
      releaseAll();
      leave();
      return;
    }
    if (isOfComposition(event) || isLocal(event) || isPaste(event)) return;
    event.preventDefault();
    const shortcut = navigationOf(event);
    if (shortcut) {
      if (!event.repeat) send({ type: shortcut });
    } else if (isOfThirdLevel(event)) {
      sendText(event.key);
    } else {
      const message = keyMessage(event);
      send(message);
      held.set(nameOf(event), message);
      // macOS sends no keyup event while Command is held.
      if (isApple && event.metaKey && event.key !== 'Meta') release(nameOf(event), message.modifiers);
    }
  });
  field.addEventListener('keyup', (event) => {
    release(nameOf(event), modifiersOf(event));
  });
  field.addEventListener('blur', releaseAll);
  return () => held.clear();
}

function listenToText(field, send, sendText) {
  const refill = () => {
    field.value = FILLER;
    field.setSelectionRange(FILLER.length, FILLER.length);
  };
  refill();
  field.addEventListener('focus', refill);

  field.addEventListener('compositionupdate', (event) => send({ type: 'compose', text: event.data }));
  field.addEventListener('compositionend', (event) => {
    if (event.data) sendText(event.data);
    else send({ type: 'compose', text: '' });
    refill();
  });

  field.addEventListener('beforeinput', (event) => {
    if (event.isComposing || /composition/i.test(event.inputType)) return;
    event.preventDefault();
    const key = KEYS_OF_INPUT[event.inputType];
    const text = event.data ?? event.dataTransfer?.getData('text/plain');
    if (key) tap(send, key);
    else if (text) sendText(text);
  });
  // Some keyboards insert text despite preventDefault.
  field.addEventListener('input', (event) => event.isComposing || refill());

  field.addEventListener('paste', (event) => {
    event.preventDefault();
    sendText(event.clipboardData.getData('text/plain'));
  });
}

function tap(send, [key, code, keyCode, modifiers]) {
  const message = { type: 'key', kind: 'down', key, code, keyCode, location: 0, repeat: false, modifiers };
  send(message);
  send({ ...message, kind: 'up' });
}

function keyMessage(event) {
  const { key, code, keyCode, location, repeat } = event;
  const message = { type: 'key', kind: 'down', key, code, keyCode, location, repeat, modifiers: modifiersOf(event) };
  if (!isApple || key !== 'Meta') return message;
  return { ...message, key: 'Control', code: location === 2 ? 'ControlRight' : 'ControlLeft', keyCode: 17 };
}

/** Returns a name of the key that does not depend on Shift. */
function nameOf(event) {
  return event.code || event.key;
}

/** Returns whether the key is part of a composition, whose text the field will report. */
function isOfComposition(event) {
  return event.isComposing || event.keyCode === 229 || ['Process', 'Unidentified', 'Dead'].includes(event.key);
}

function isLeaving(event) {
  return event.ctrlKey && event.altKey && event.shiftKey && ['Control', 'Alt', 'Shift'].includes(event.key);
}

function hasCommand(event) {
  return isApple ? event.metaKey : event.ctrlKey && !event.altKey;
}

function isLocal(event) {
  return LOCAL_KEYS.test(event.key) || (hasCommand(event) && LOCAL_SHORTCUTS.includes(event.key));
}

/** Returns whether the key pastes. The paste is a separate event. */
function isPaste(event) {
  return (hasCommand(event) && event.key.toLowerCase() === 'v') || (event.shiftKey && event.key === 'Insert');
}

/**
 * Returns whether AltGr, or Option on a Mac, produced the character. In this case, Control and Alt
 * are not a shortcut.
 */
function isOfThirdLevel(event) {
  if (event.key.length !== 1) return false;
  return event.getModifierState('AltGraph') || (isApple && event.altKey && !event.ctrlKey && !event.metaKey);
}

/**
 * Returns the action of a key that a browser window would handle, because the session's browser has
 * no window.
 */
function navigationOf(event) {
  const isPlain = !event.altKey && !event.shiftKey;
  if (isPlain && (event.key === 'F5' || (hasCommand(event) && event.key === 'r'))) return 'reload';
  const isAlt = event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && !isApple;
  if (isAlt && event.key === 'ArrowLeft') return 'back';
  if (isAlt && event.key === 'ArrowRight') return 'forward';
  return null;
}

function* pieces(text) {
  for (let start = 0; start < text.length; ) {
    let end = start + PIECE_LENGTH;
    // Do not split a surrogate pair.
    if (end < text.length && text.codePointAt(end - 1) > 0xffff) end -= 1;
    yield text.slice(start, end);
    start = end;
  }
}
