// The workbench: a list of sessions, and a page for each of them. The part of the address after `#`
// selects what is shown. Polls the state of the server every two seconds while the tab is visible.
//
// - api.js            requests and server-sent events
// - session_list.js   the list, with search, filter and the dialog for a new session
// - session_page.js   one session: live view, code, output and what its page does
//
// Titles, addresses, names and output come from untrusted pages and code. The workbench shows them
// only as text.

import { currentKey, setKey, takeKey } from '/operator/page/key.js';
import { setText } from '/operator/page/words.js';
import { ask, failure, send } from './api.js';
import { SessionList } from './session_list.js';
import { SessionPage } from './session_page.js';

const POLL_MS = 2000;
const MAX_WAIT_MS = 10000;

const element = (id) => document.getElementById(id);
const list = new SessionList({ changed: poll });
const page = new SessionPage({ changed: poll });

let isAskingForKey = false;
let isPolling = false;
let pollTimer = 0;
let failures = 0;
/** The last state of the server, or `null`. */
let state = null;
/** True if the key opens the API, and not only the page of the operator. Unknown at first. */
let canUseApi = null;

document.addEventListener('visibilitychange', poll);
addEventListener('online', poll);
addEventListener('hashchange', route);
element('entry').addEventListener('submit', enterKey);
element('forget').addEventListener('click', () => askForKey(''));
poll();

async function poll() {
  if (isPolling || isAskingForKey || document.hidden) return;
  clearTimeout(pollTimer);
  isPolling = true;
  const keyOfPoll = currentKey();
  const isOutdated = () => keyOfPoll !== currentKey() || isAskingForKey;
  try {
    const next = await ask('/operator/state');
    const opens = canUseApi ?? (await opensApi());
    if (!isOutdated()) {
      canUseApi = opens;
      showState(next);
    }
    failures = 0;
  } catch (error) {
    if (!isOutdated()) {
      if (error.status === 401) askForKey(keyOfPoll ? 'The server does not accept this key.' : '');
      else showLoss(error);
    }
    failures += 1;
  } finally {
    isPolling = false;
  }
  if (isOutdated()) {
    failures = 0;
    poll();
    return;
  }
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, Math.min(POLL_MS * 2 ** Math.max(failures - 1, 0), MAX_WAIT_MS));
}

/** Returns false for the operator key. */
async function opensApi() {
  const response = await send('/v2/concurrency-check');
  if (response.status === 401) return false;
  // The next poll asks again after any other error.
  if (!response.ok) throw await failure(response);
  return true;
}

function showState(next) {
  const isFirst = state === null;
  state = next;
  showProblem('');
  showHealth(state.ready ? 'ready' : 'bad', state.ready ? 'Ready' : 'Not ready');
  element('forget').hidden = !currentKey();
  element('entry').hidden = true;
  list.show(state, canUseApi);
  if (isFirst) route();
  else page.update(state);
  showTitle();
}

function showLoss(error) {
  showHealth('lost', 'No response');
  showProblem(error.message ?? 'The server does not respond.');
}

function showHealth(health, word) {
  document.body.dataset.health = health;
  setText(element('health'), word);
}

function showProblem(text) {
  setText(element('problem'), text);
  element('problem').hidden = text === '';
}

// The list or a session

function route() {
  if (state === null) return;
  const id = /^#\/sessions\/([0-9a-f-]{36})$/.exec(location.hash)?.[1];
  element('list').hidden = Boolean(id);
  element('session').hidden = !id;
  document.body.dataset.view = id ? 'session' : 'list';
  if (id) page.open(id, state, canUseApi);
  else page.close();
  element(id ? 'session-title' : 'heading').focus({ preventScroll: true });
  scrollTo(0, 0);
  showTitle();
}

function showTitle() {
  const name = document.body.dataset.view === 'session' ? element('session-title').textContent : counted(state.sessions.length);
  document.title = `${name} · Hearth`;
}

function counted(count) {
  return count === 1 ? '1 session' : `${count} sessions`;
}

// The key

function askForKey(rejection) {
  clearTimeout(pollTimer);
  isAskingForKey = true;
  state = null;
  canUseApi = null;
  setKey('');
  page.close();
  list.clear();
  for (const id of ['list', 'session', 'forget']) element(id).hidden = true;
  document.body.dataset.view = 'key';
  document.title = 'Hearth';
  showHealth('waiting', 'Key required');
  showProblem('');
  setText(element('rejection'), rejection);
  element('entry').hidden = false;
  element('key').focus();
}

function enterKey(event) {
  event.preventDefault();
  if (!takeKey()) return;
  isAskingForKey = false;
  showHealth('waiting', 'Connecting');
  poll();
}
