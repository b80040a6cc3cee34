// Keys, composed text and paste, caught by an unseen text field, as messages.

const CONTROL = 2;
/**
 * What the field holds between inputs. Phones report a deletion only where there is something to delete, and would
 * try to correct a word.
 */
const FILLER = '  ';
/** So much text to a message: of any character, it stays below what the server reads. */
const PIECE_LENGTH = 100_000;

const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Keys that stay with the viewer's own browser and machine. */
const OWN_KEYS = /^(F1[12]|Audio|Media|Browser|Launch|Brightness|PrintScreen|Power|AltGraph|Fn)/;
/** With Control (or Command): zoom, and the viewer's address bar. */
const OWN_SHORTCUTS = ['+', '-', '=', '0', 'l'];

/** What a phone's keyboard asks for without a key: key, code, key code, modifiers. */
const KEYS_OF_INPUT = {
  deleteContentBackward: ['Backspace', 'Backspace', 8, 0],
  deleteContentForward: ['Delete', 'Delete', 46, 0],
  deleteWordBackward: ['Backspace', 'Backspace', 8, CONTROL],
  deleteWordForward: ['Delete', 'Delete', 46, CONTROL],
  insertLineBreak: ['Enter', 'Enter', 13, 0],
  insertParagraph: ['Enter', 'Enter', 13, 0],
};

/** The protocol's bits. The session's browser runs on Linux: a Mac's Command does there what Control does. */
export function modifiersOf(event) {
  const control = event.ctrlKey || (isApple && event.metaKey);
  const meta = event.metaKey && !isApple;
  return (event.altKey ? 1 : 0) | (control ? 2 : 0) | (meta ? 4 : 0) | (event.shiftKey ? 8 : 0);
}

/** Starts to listen. `leave()` is called for the keys that let the viewer out. Gives back what forgets held keys. */
export function listenToKeyboard(field, send, leave) {
  const sendText = (text) => {
    for (const piece of pieces(text.replace(/\r\n?/g, '\n'))) send({ type: 'text', text: piece });
  };
  const forget = listenToKeys(field, send, sendText, leave);
  listenToText(field, send, sendText);
  return forget;
}

function listenToKeys(field, send, sendText, leave) {
  /** What was sent as pressed and not yet as released, by key. */
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
    if (isOfComposition(event) || isOwn(event) || isPaste(event)) return;
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
      // macOS tells nobody that a key was released while Command is held.
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
  // Some keyboards cannot be prevented from writing.
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

/** One name for a key, whatever Shift makes of it meanwhile. */
function nameOf(event) {
  return event.code || event.key;
}

/** Keys of which the text field will say what they came to. */
function isOfComposition(event) {
  return event.isComposing || event.keyCode === 229 || ['Process', 'Unidentified', 'Dead'].includes(event.key);
}

function isLeaving(event) {
  return event.ctrlKey && event.altKey && event.shiftKey && ['Control', 'Alt', 'Shift'].includes(event.key);
}

function hasCommand(event) {
  return isApple ? event.metaKey : event.ctrlKey && !event.altKey;
}

function isOwn(event) {
  return OWN_KEYS.test(event.key) || (hasCommand(event) && OWN_SHORTCUTS.includes(event.key));
}

/** The paste itself comes as an event of its own. */
function isPaste(event) {
  return (hasCommand(event) && event.key.toLowerCase() === 'v') || (event.shiftKey && event.key === 'Insert');
}

/** Characters that AltGr, or Option on a Mac, makes: Control and Alt of the event are no part of a shortcut. */
function isOfThirdLevel(event) {
  if (event.key.length !== 1) return false;
  return event.getModifierState('AltGraph') || (isApple && event.altKey && !event.ctrlKey && !event.metaKey);
}

/** What these keys do is done by a browser's window, which the session's browser has none of. */
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
    // Not between the two halves of a character.
    if (end < text.length && text.codePointAt(end - 1) > 0xffff) end -= 1;
    yield text.slice(start, end);
    start = end;
  }
}
