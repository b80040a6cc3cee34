// Mouse, wheel and touch on the canvas, as messages.

import { modifiersOf } from './keyboard.js';

const BUTTONS = ['left', 'middle', 'right', 'back', 'forward'];
/** The bit of each button in `buttons`, in the order of `BUTTONS`. */
const BITS = [1, 4, 2, 8, 16];
const LINE_PX = 20;
/** Whoever clicks faster and longer than this has lost count. */
const MAX_CLICKS = 255;

/** What happens more often than it can be shown is sent once for every frame of this window, in order. */
class Pending {
  #message = null;
  #send;

  constructor(send) {
    this.#send = send;
  }

  /** Keeps a message; one of the same kind that still waits becomes `merge(old, new)`. */
  put(message, merge = (_, latest) => latest) {
    const waits = this.#message;
    if (waits && (waits.type !== message.type || waits.kind !== message.kind)) this.flush();
    if (!this.#message) requestAnimationFrame(() => this.flush());
    this.#message = this.#message ? merge(this.#message, message) : message;
  }

  flush() {
    const message = this.#message;
    this.#message = null;
    if (message) this.#send(message);
  }
}

/** Starts to listen. `focus(event)` is called for a press of the mouse. Gives back what forgets all that is held. */
export function listenToPointers(canvas, picture, send, focus) {
  const pending = new Pending(send);
  const sendNow = (message) => {
    pending.flush();
    send(message);
  };
  const forgetMouse = listenToMouse(canvas, picture, pending, sendNow, focus);
  const forgetTouch = listenToTouch(canvas, picture, pending, sendNow);
  listenToWheel(canvas, picture, pending);
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  return () => {
    forgetMouse();
    forgetTouch();
  };
}

function listenToMouse(canvas, picture, pending, sendNow, focus) {
  let held = 0;
  const message = (event, kind, index, clicks) => ({
    type: 'mouse',
    kind,
    ...picture.toPage(event),
    button: BUTTONS[index] ?? 'none',
    buttons: held,
    clicks: Math.min(clicks, MAX_CLICKS),
    modifiers: modifiersOf(event),
  });
  const release = (event, index, clicks) => {
    if (!(held & BITS[index])) return;
    held &= ~BITS[index];
    sendNow(message(event, 'up', index, clicks));
  };

  // Mouse events, for pointer events do not count clicks. Capture directs both, so that a drag may leave the canvas.
  canvas.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'touch') canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('mousedown', (event) => {
    event.preventDefault();
    focus(event);
    if (!BUTTONS[event.button]) return;
    held |= BITS[event.button];
    sendNow(message(event, 'down', event.button, event.detail || 1));
  });
  canvas.addEventListener('mouseup', (event) => {
    event.preventDefault();
    release(event, event.button, event.detail || 1);
  });
  canvas.addEventListener('mousemove', (event) => {
    // A release that this window was not told of, such as over a dialog of the system.
    BITS.forEach((bit, index) => event.buttons & bit || release(event, index, 1));
    pending.put(message(event, 'move', BITS.findIndex((bit) => held & bit), 0));
  });
  // The viewer's own browser goes back and forward with these.
  canvas.addEventListener('auxclick', (event) => event.preventDefault());
  canvas.addEventListener('dragstart', (event) => event.preventDefault());
  return () => {
    held = 0;
  };
}

function listenToWheel(canvas, picture, pending) {
  const listener = (event) => {
    event.preventDefault();
    const unit = [1, LINE_PX, picture.height][event.deltaMode];
    const message = {
      type: 'wheel',
      ...picture.toPage(event),
      dx: event.deltaX * unit,
      dy: event.deltaY * unit,
      modifiers: modifiersOf(event),
    };
    pending.put(message, (old, latest) => ({ ...latest, dx: old.dx + latest.dx, dy: old.dy + latest.dy }));
  };
  canvas.addEventListener('wheel', listener, { passive: false });
}

function listenToTouch(canvas, picture, pending, sendNow) {
  /** Fingers by the number that this window gives them; their place is the number that the page is told. */
  const fingers = [];
  const message = (event, kind) => ({
    type: 'touch',
    kind,
    points: fingers.flatMap((finger, id) => (finger ? [{ id, ...finger.at }] : [])),
    modifiers: modifiersOf(event),
  });
  const find = (event) => fingers.findIndex((finger) => finger?.pointer === event.pointerId);
  const isTouch = (event) => event.pointerType === 'touch';

  canvas.addEventListener('pointerdown', (event) => {
    if (!isTouch(event)) return;
    // No mouse events after it: the page would see everything twice.
    event.preventDefault();
    const free = fingers.findIndex((finger) => !finger);
    fingers[free < 0 ? fingers.length : free] = { pointer: event.pointerId, at: picture.toPage(event) };
    sendNow(message(event, 'start'));
  });
  canvas.addEventListener('pointermove', (event) => {
    const id = isTouch(event) ? find(event) : -1;
    if (id < 0) return;
    fingers[id].at = picture.toPage(event);
    pending.put(message(event, 'move'));
  });
  const lift = (event) => {
    const id = isTouch(event) ? find(event) : -1;
    if (id < 0) return;
    fingers[id] = undefined;
    sendNow(message(event, event.type === 'pointercancel' ? 'cancel' : 'end'));
  };
  canvas.addEventListener('pointerup', lift);
  canvas.addEventListener('pointercancel', lift);
  // Browsers that scroll or zoom in spite of `touch-action`.
  canvas.addEventListener('touchstart', (event) => event.preventDefault(), { passive: false });
  return () => fingers.splice(0);
}
