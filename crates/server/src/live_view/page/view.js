// The live view of a session. This script shows the server's messages in the bar, the tabs, the
// frame and the overlays, and sends the viewer's input as messages. The URL of the page contains
// the link's token.
//
// - connection.js    the WebSocket, with reconnects
// - frame_canvas.js  draws frames onto the canvas
// - tabs.js          the tab strip
// - pointer.js       mouse, wheel and touch
// - keyboard.js      keys, composed text, paste
//
// Titles, URLs and dialog messages come from untrusted pages. The page shows them only as text.

import { Connection } from './connection.js';
import { listenToKeyboard } from './keyboard.js';
import { FrameCanvas } from './frame_canvas.js';
import { listenToPointers } from './pointer.js';
import { TabStrip } from './tabs.js';

const NOTICE_MS = 6000;
const STATES = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  ended: 'Ended',
  rejected: 'Not connected',
};

const element = (id) => document.getElementById(id);
const { body } = document;
const address = element('address');
const keys = element('keys');
const canvasArea = element('canvas-area');
const canvas = element('frame');

const socketAddress = new URL(location.href);
socketAddress.pathname = `${socketAddress.pathname.replace(/\/$/, '')}/socket`;
socketAddress.hash = '';

const frameCanvas = new FrameCanvas(canvas, canvasArea);
const connection = new Connection(socketAddress.href, {
  state: showState,
  message: receive,
  frame: showFrame,
  over: showEnd,
});
const send = (message) => connection.send(message);
const strip = new TabStrip(element('tabs'), (message) => isInteractive && send(message));

let isInteractive = false;
let ending = null;
/** The tabs in the last message of the server, or `null` before the first one. */
let tabs = null;
let releaseInput = () => {};

function receive(message) {
  switch (message.type) {
    case 'hello':
      greet(message.interactive);
      break;
    case 'tabs':
      showTabs(message.tabs);
      break;
    case 'dialog':
      showDialog(message.dialog);
      break;
    case 'notice':
      showNotice(message.text);
      showAddress();
      break;
  }
}

function greet(interactive) {
  // The server has released all buttons and keys that were held when the connection was lost.
  releaseInput();
  if (interactive && !isInteractive) startControl();
  isInteractive = interactive;
  body.classList.toggle('interactive', interactive);
  element('watching').hidden = interactive;
}

// The state, and the overlay on the frame

function showState(state) {
  const hadBegun = body.dataset.state !== 'connecting';
  body.dataset.state = state === 'reconnecting' && !hadBegun ? 'connecting' : state;
  element('state').textContent = STATES[body.dataset.state];
  showVeil();
}

function showEnd({ state, text, at }) {
  ending = { text, at };
  showDialog(null);
  showNotice('');
  showState(state);
  body.classList.remove('interactive');
  isInteractive = false;
}

function showVeil() {
  const veil = element('veil');
  const hasNoTab = tabs?.length === 0;
  body.classList.toggle('no-tab', hasNoTab);
  element('open-tab').hidden = !hasNoTab || ending !== null;
  let what = '';
  if (ending) what = ending.text;
  else if (body.dataset.state === 'connecting') what = 'Connecting to the session…';
  else if (hasNoTab) what = 'No tab is open.';
  else if (currentTab()?.crashed) what = 'This tab has crashed.';
  if (element('what').textContent !== what) element('what').textContent = what;
  element('when').textContent = ending?.at ? localTime(ending.at) : '';
  veil.hidden = what === '';
}

function localTime(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? '' : time.toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' });
}

function showFrame(buffer, drawn) {
  frameCanvas.show(buffer, drawn);
}

let noticeTimer = 0;

function showNotice(text) {
  clearTimeout(noticeTimer);
  element('notice').textContent = text;
  noticeTimer = setTimeout(() => {
    element('notice').textContent = '';
  }, NOTICE_MS);
}

// Tabs and address

function showTabs(list) {
  tabs = list;
  strip.show(list, isInteractive);
  const current = currentTab();
  const title = current?.title || '';
  document.title = title ? `${title} · Hearth` : 'Hearth';
  element('title').textContent = title || (current ? 'Untitled' : '');
  element('title').title = title;
  element('url').textContent = current?.url ?? '';
  // Do not replace an address that the viewer is typing.
  if (document.activeElement !== address) showAddress();
  for (const id of ['back', 'forward', 'reload']) element(id).disabled = !current;
  showVeil();
}

function currentTab() {
  return tabs?.find((tab) => tab.current);
}

function showAddress() {
  const url = currentTab()?.url ?? '';
  address.value = url === 'about:blank' ? '' : url;
}

// Dialogs of the page

let isAsked = false;

function showDialog(dialog) {
  const form = element('dialog');
  const hadFocus = form.contains(document.activeElement);
  const wasAsked = isAsked;
  isAsked = dialog !== null;
  form.hidden = !isAsked;
  body.classList.toggle('asked', isAsked);
  if (!isAsked) {
    if (wasAsked && hadFocus) keys.focus({ preventScroll: true });
    return;
  }
  // The notice would cover the buttons.
  showNotice('');
  const { kind, message } = dialog;
  const isLeaving = kind === 'beforeunload';
  element('asker').textContent = isLeaving ? 'Leave this page?' : 'The page says';
  element('message').textContent = message || (isLeaving ? 'Changes that you made may not be saved.' : '');
  element('accept').textContent = isLeaving ? 'Leave' : 'OK';
  element('dismiss').textContent = isLeaving ? 'Stay' : 'Cancel';
  element('dismiss').hidden = kind === 'alert';
  element('answer').hidden = kind !== 'prompt';
  element('answer').value = dialog.default ?? '';
  element('answer').select();
  // Focus the dialog only if the viewer is typing into the page, and not while watching or using
  // the bar.
  if (document.activeElement === keys) element(kind === 'prompt' ? 'answer' : 'accept').focus();
}

function answer(accept) {
  send({ type: 'dialog', accept, text: element('answer').value });
}

// Control of the session, only with the interactive link

function startControl() {
  const releasePointers = listenToPointers(canvas, frameCanvas, send, takeKeys);
  const releaseKeys = listenToKeyboard(keys, send, () => address.focus());
  releaseInput = () => {
    releasePointers();
    releaseKeys();
  };
  listenToBar();
  listenToDialog();
  explainKeysOnce();
}

/** Moves the field to the mouse, because the viewer's system shows composed text next to it. */
function takeKeys({ clientX, clientY }) {
  const box = canvasArea.getBoundingClientRect();
  keys.style.left = `${clientX - box.left}px`;
  keys.style.top = `${clientY - box.top}px`;
  keys.focus({ preventScroll: true });
}

function listenToBar() {
  for (const type of ['back', 'forward', 'reload']) element(type).addEventListener('click', () => send({ type }));
  for (const id of ['new-tab', 'open-tab']) element(id).addEventListener('click', () => send({ type: 'new_tab' }));

  address.addEventListener('focus', () => address.select());
  address.addEventListener('blur', showAddress);
  address.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.isComposing) return;
    showAddress();
    address.select();
  });
  element('location').addEventListener('submit', (event) => {
    event.preventDefault();
    const url = address.value.trim();
    if (!url) return;
    send({ type: 'open', url });
    // On a phone, focusing the field would open the keyboard again.
    if (matchMedia('(pointer: coarse)').matches) address.blur();
    else keys.focus({ preventScroll: true });
    address.value = url;
  });

  const keyboard = element('keyboard');
  // The button toggles the focus of the field, so a press must not change it.
  keyboard.addEventListener('pointerdown', (event) => event.preventDefault());
  keyboard.addEventListener('mousedown', (event) => event.preventDefault());
  keyboard.addEventListener('click', () => {
    if (document.activeElement === keys) keys.blur();
    else keys.focus({ preventScroll: true });
  });
  for (const type of ['focus', 'blur']) {
    keys.addEventListener(type, () => keyboard.setAttribute('aria-pressed', String(type === 'focus')));
  }
}

function listenToDialog() {
  const form = element('dialog');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    answer(true);
  });
  element('dismiss').addEventListener('click', () => answer(false));
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') answer(false);
  });
}

/** Shows viewers who entered the page with Tab how to leave it by keyboard. Does so only once. */
function explainKeysOnce() {
  const explain = () => {
    if (!keys.matches(':focus-visible') || canvasArea.matches(':hover')) return;
    keys.removeEventListener('focus', explain);
    showNotice(element('keys-hint').textContent);
  };
  keys.addEventListener('focus', explain);
}

// A phone's keyboard covers part of the window. Shrink the page to the visible part.
window.visualViewport?.addEventListener('resize', () => {
  const { height, scale } = window.visualViewport;
  if (scale === 1) body.style.height = `${height}px`;
});
