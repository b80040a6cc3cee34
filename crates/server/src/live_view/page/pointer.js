// Pointer input. Turns mouse, wheel and touch events on the canvas into messages.

import { modifiersOf } from './keyboard.js';

const BUTTONS = ['left', 'middle', 'right', 'back', 'forward'];
/** The bit of each button in `buttons`, in the order of `BUTTONS`. */
const BITS = [1, 4, 2, 8, 16];
const LINE_PX = 20;
/** The maximum click count that is sent. */
const MAX_CLICKS = 255;

/** Coalesces frequent events: sends one message per animation frame, in order. */
class Pending {
  #message = null;
  #send;

  constructor(send) {
    this.#send = send;
  }

  /** Queues a message. A pending message of the same kind is replaced by `merge(old, new)`. */
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

/**
 * Starts listening. Calls `focus(event)` on a mouse press. Returns a function that releases held
 * buttons and touches.
 */
export function listenToPointers(canvas, frameCanvas, send, focus) {
  const pending = new Pending(send);
  const sendNow = (message) => {
    pending.flush();
    send(message);
  };
  const releaseMouse = listenToMouse(canvas, frameCanvas, pending, sendNow, focus);
  const releaseTouch = listenToTouch(canvas, frameCanvas, pending, sendNow);
  listenToWheel(canvas, frameCanvas, pending);
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  return () => {
    releaseMouse();
    releaseTouch();
  };
}

function listenToMouse(canvas, frameCanvas, pending, sendNow, focus) {
  let held = 0;
  const message = (event, kind, index, clicks) => ({
    type: 'mouse',
    kind,
    ...frameCanvas.toPage(event),
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

  // Clicks use mouse events, because pointer events have no click count. Pointer capture applies to
  // both, so a drag may leave the canvas.
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
    // Detect a release without an event, for example over a system dialog.
    BITS.forEach((bit, index) => event.buttons & bit || release(event, index, 1));
    pending.put(message(event, 'move', BITS.findIndex((bit) => held & bit), 0));
  });
  // Otherwise, the viewer's browser navigates back and forward.
  canvas.addEventListener('auxclick', (event) => event.preventDefault());
  canvas.addEventListener('dragstart', (event) => event.preventDefault());
  return () => {
    held = 0;
  };
}

function listenToWheel(canvas, frameCanvas, pending) {
  const listener = (event) => {
    event.preventDefault();
    const unit = [1, LINE_PX, frameCanvas.height][event.deltaMode];
    const message = {
      type: 'wheel',
      ...frameCanvas.toPage(event),
      dx: event.deltaX * unit,
      dy: event.deltaY * unit,
      modifiers: modifiersOf(event),
    };
    pending.put(message, (old, latest) => ({ ...latest, dx: old.dx + latest.dx, dy: old.dy + latest.dy }));
  };
  canvas.addEventListener('wheel', listener, { passive: false });
}

function listenToTouch(canvas, frameCanvas, pending, sendNow) {
  /** The active touches. The index is the touch id in the page. */
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
    // This prevents emulated mouse events, so that the page does not get the input twice.
    event.preventDefault();
    const free = fingers.findIndex((finger) => !finger);
    fingers[free < 0 ? fingers.length : free] = { pointer: event.pointerId, at: frameCanvas.toPage(event) };
    sendNow(message(event, 'start'));
  });
  canvas.addEventListener('pointermove', (event) => {
    const id = isTouch(event) ? find(event) : -1;
    if (id < 0) return;
    fingers[id].at = frameCanvas.toPage(event);
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
  // Some browsers scroll or zoom despite `touch-action`.
  canvas.addEventListener('touchstart', (event) => event.preventDefault(), { passive: false });
  return () => fingers.splice(0);
}
