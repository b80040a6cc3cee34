// The operator page. Polls the state of the server every two seconds and updates the page in place.
//
// - sessions.js  the cards of the sessions
// - key.js       the key that requests carry
// - words.js     formats times and sizes, updates elements in place
//
// Titles, URLs and names come from untrusted pages and clients. The page shows them only as text.

import { currentKey, setKey, takeKey } from './key.js';
import { SessionCards } from './sessions.js';
import { age, bytes, fillList, make, setText, shortId, span } from './words.js';

const POLL_MS = 2000;
const MAX_WAIT_MS = 10000;
const RESPONSE_TIMEOUT_MS = 10000;
/** The multiple of its minimum below which memory or disk space is low. */
const LOW_FACTOR = 2;
/** The length of the disk bar as a multiple of the minimum, if the size of the disk is unknown. */
const DISK_BAR_FACTOR = 20;

const REASONS = {
  deleted: 'deleted',
  ttl: 'TTL expired',
  idle: 'idle timeout',
  browser_crashed: 'browser crashed',
  limit: 'exceeded a limit',
  server_stopped: 'server stopped',
  server_lost: 'server died',
  node_lost: 'node lost',
};
const BAD_REASONS = ['browser_crashed', 'limit', 'server_lost', 'node_lost'];

const element = (id) => document.getElementById(id);
const { body } = document;
const cards = new SessionCards(element('sessions'), {
  request,
  ended: poll,
  lostFocus: () => element('heading').focus({ preventScroll: true }),
});

let isAskingForKey = false;
let isPolling = false;
let pollTimer = 0;
let failures = 0;
/** The time of the server's last response, or of the page's opening, by the viewer's clock. */
let answeredAt = new Date();

document.addEventListener('visibilitychange', poll);
addEventListener('online', poll);
element('entry').addEventListener('submit', enterKey);
element('forget').addEventListener('click', () => askForKey(''));
poll();

// Requests

function request(path, options = {}) {
  return fetch(path, {
    cache: 'no-store',
    signal: AbortSignal.timeout(RESPONSE_TIMEOUT_MS),
    ...options,
    headers: currentKey() ? { Authorization: `Bearer ${currentKey()}` } : {},
  });
}

async function poll() {
  if (isPolling || isAskingForKey || document.hidden) return;
  clearTimeout(pollTimer);
  isPolling = true;
  const keyOfPoll = currentKey();
  const answer = await askForState();
  isPolling = false;
  if (keyOfPoll !== currentKey() || isAskingForKey) {
    poll();
    return;
  }
  failures = answer.state ? 0 : failures + 1;
  pollTimer = setTimeout(poll, Math.min(POLL_MS * 2 ** Math.max(failures - 1, 0), MAX_WAIT_MS));
  if (answer.status === 401) askForKey(keyOfPoll ? 'The server does not accept this key.' : '');
  else if (answer.state) showState(answer.state);
  else showLoss(answer.status);
}

async function askForState() {
  try {
    const response = await request('/operator/state');
    return { status: response.status, state: response.ok ? await response.json() : null };
  } catch {
    return { status: 0, state: null };
  }
}

// The key

function askForKey(rejection) {
  clearTimeout(pollTimer);
  isAskingForKey = true;
  setKey('');
  element('forget').hidden = true;
  cards.clear();
  showHealth('waiting', 'Key required');
  document.title = 'Hearth';
  element('state').hidden = true;
  element('entry').hidden = false;
  for (const id of ['version', 'isolation', 'uptime']) setText(element(id), '');
  setText(element('rejection'), rejection);
  element('key').focus();
}

function enterKey(event) {
  event.preventDefault();
  if (!takeKey()) return;
  isAskingForKey = false;
  element('forget').hidden = false;
  showHealth('waiting', 'Connecting');
  poll();
}

// Health

function showState(state) {
  answeredAt = new Date();
  const now = Date.parse(state.now);
  if (state.ready) showHealth('ready', 'Ready', state.reasons);
  else showHealth('bad', 'Not ready', state.reasons);
  document.title = state.ready ? `${state.sessions.length} · Hearth` : 'Not ready · Hearth';
  body.dataset.scope = state.scope;
  element('forget').hidden = !currentKey();
  element('entry').hidden = true;
  element('state').hidden = false;
  showAbout(state, now);
  showMeters(state);
  showNodes(state.nodes ?? []);
  showSessions(state, now);
  showEnded(state.ended, now);
}

function showLoss(status) {
  const why = status >= 400 ? ` The response status is ${status}.` : '';
  const lasted = age(Date.now() - answeredAt);
  const sentence = `The server has not responded since ${answeredAt.toLocaleTimeString()} (${lasted}).${why}`;
  showHealth('lost', 'No response', [sentence]);
  document.title = 'No response · Hearth';
  cards.pause();
}

function showHealth(health, word, problems = []) {
  body.dataset.health = health;
  setText(element('health'), word);
  fillList(element('problems'), problems.map((problem) => [['problem', problem]]));
  element('problems').hidden = problems.length === 0;
  announce([word, ...problems].join('. '));
}

let announced = '';

/** Announces a text to screen readers, unless only its numbers have changed. */
function announce(text) {
  const gist = text.replace(/\d+( \w+)?/g, '');
  if (gist === announced) return;
  announced = gist;
  element('spoken').textContent = text;
}

function showAbout({ version, isolation, startedAt }, now) {
  const isOpen = isolation === 'none';
  setText(element('version'), version);
  setText(element('isolation'), isOpen ? 'isolation none: code is not sandboxed' : `isolation ${isolation}`);
  element('isolation').className = isOpen ? 'warning' : '';
  setText(element('uptime'), `up ${age(now - Date.parse(startedAt))}`);
}

// Meters

function showMeters({ pressure, leakedProcesses }) {
  const meters = [
    sessionsMeter(pressure),
    codeMeter(pressure),
    memoryMeter(pressure.memory),
    diskMeter(pressure.disk),
    leaksMeter(leakedProcesses),
  ];
  const list = element('meters');
  meters.forEach((meter, place) => fillMeter(list.children[place] ?? list.appendChild(newMeter()), meter));
}

function newMeter() {
  const bar = make('div', 'track', make('div', 'fill'), make('div', 'floor'));
  bar.setAttribute('aria-hidden', 'true');
  return make('li', 'meter', make('p', 'name'), make('p', 'value'), bar, make('p', 'note'));
}

function fillMeter(item, { name, value, note = '', filled, floor, level = '' }) {
  const [nameLine, valueLine, bar, noteLine] = item.children;
  item.dataset.level = level;
  setText(nameLine, name);
  setText(valueLine, value);
  setText(noteLine, note);
  bar.hidden = !Number.isFinite(filled);
  bar.children[1].hidden = !Number.isFinite(floor);
  bar.children[0].style.width = `${100 * Math.min(filled, 1)}%`;
  bar.children[1].style.left = `${100 * Math.min(floor, 1)}%`;
}

function sessionsMeter({ sessions, maxSessions, warmSessions }) {
  const isFull = sessions >= maxSessions;
  return {
    name: 'Sessions',
    value: `${sessions} of ${maxSessions}`,
    note: isFull ? 'limit reached' : `room for ${maxSessions - sessions}, ${warmSessions} warm`,
    filled: sessions / maxSessions,
    level: isFull ? 'low' : '',
  };
}

function codeMeter({ executionsRunning, executionsWaiting }) {
  const level = executionsWaiting > 0 ? 'low' : '';
  return { name: 'Code', value: `${executionsRunning} running`, note: `${executionsWaiting} waiting`, level };
}

function memoryMeter(memory) {
  const used = memory?.sessionsBytes;
  const note = Number.isFinite(used) ? ` · sessions ${bytes(used)}` : '';
  return roomMeter('Memory free', memory?.availableBytes, memory?.leastBytes, memory?.totalBytes, note);
}

function diskMeter(disk) {
  const total = disk?.totalBytes ?? disk?.leastBytes * DISK_BAR_FACTOR;
  return roomMeter('Disk free', disk?.freeBytes, disk?.leastBytes, total, '');
}

function roomMeter(name, free, min, total, more) {
  if (!Number.isFinite(free)) return { name, value: 'unknown' };
  const level = free < min ? 'bad' : free < min * LOW_FACTOR ? 'low' : '';
  const words = { bad: 'below the minimum of', low: 'near the minimum of', '': 'minimum' }[level];
  return {
    name,
    value: bytes(free),
    note: `${words} ${bytes(min)}${more}`,
    filled: free / total,
    floor: min / total,
    level,
  };
}

function leaksMeter(leaked) {
  const isLeaking = leaked > 0;
  const note = isLeaking ? 'outlived their session: must be 0' : 'as expected';
  return { name: 'Leaked processes', value: String(leaked), note, level: isLeaking ? 'bad' : '' };
}

// The nodes of a cluster

function showNodes(nodes) {
  const rows = nodes.map((node) => [
    ['node', node.name, node.name],
    nodeState(node),
    ['lasted', `${node.sessions} of ${node.maxSessions} sessions`],
    ['when', node.version],
  ]);
  fillList(element('nodes'), rows);
  element('cluster').hidden = nodes.length === 0;
}

function nodeState({ state, ready, answers }) {
  if (!answers) return ['bad', 'no answer: its sessions are missing'];
  if (state === 'up' && !ready) return ['bad', 'not ready'];
  return [state === 'up' ? 'fine' : 'reason', state];
}

// Open and ended sessions

function showSessions({ sessions, scope }, now) {
  const name = scope === 'team' ? "Your team's sessions" : 'Sessions';
  setText(element('heading'), sessions.length > 0 ? `${name} (${sessions.length})` : name);
  const header = currentKey() ? ' -H "Authorization: Bearer $FIRECRAWL_API_KEY"' : '';
  setText(element('example'), `curl -X POST${header} ${location.origin}/v2/interact`);
  element('empty').hidden = sessions.length > 0;
  cards.show(sessions, now);
}

function showEnded(ended, now) {
  const rows = ended.map(({ id, team, reason, endedAt, durationMs }) => [
    ['id', shortId(id), id],
    ['team', team ?? '', team],
    [BAD_REASONS.includes(reason) ? 'bad' : 'reason', REASONS[reason] ?? reason],
    ['lasted', `after ${span(durationMs)}`],
    ['when', `${age(now - Date.parse(endedAt))} ago`, endedAt],
  ]);
  fillList(element('ended'), rows);
  element('past').hidden = ended.length === 0;
}
