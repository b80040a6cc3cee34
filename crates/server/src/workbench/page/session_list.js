// The list of sessions, with search, a filter for teams and the sessions that have ended lately.
// Rows are kept between updates.

import { age, bytes, cutInTheMiddle, fillList, make, setText, shortId, span, titleOf } from '/operator/page/words.js';
import { Failure, ask } from './api.js';
import { badgesOf, showBadges } from './badges.js';
import { SessionDialog } from './new_session.js';
import { copy, notify } from './notice.js';

/** The team of all clients of a server without keys. */
const KEYLESS_TEAM = 'everybody';
const MAX_URL_LENGTH = 90;
const ALL_TEAMS = '';

const REASONS = {
  deleted: 'deleted',
  ttl: 'TTL expired',
  idle: 'idle timeout',
  browser_crashed: 'crashed',
  limit: 'exceeded a limit',
  server_stopped: 'server stopped',
  server_lost: 'server died',
  node_lost: 'node lost',
};
const BAD_REASONS = ['browser_crashed', 'limit', 'server_lost', 'node_lost'];

const element = (id) => document.getElementById(id);

export function reasonOf(reason) {
  return REASONS[reason] ?? reason;
}

export class SessionList {
  #rows = new Map();
  #state = { sessions: [], ended: [], now: '' };
  #canUseApi = false;
  #dialog;

  /** `on.changed()` is called after this list has changed something on the server. */
  constructor(on) {
    this.#dialog = new SessionDialog((id) => {
      on.changed();
      location.hash = `#/sessions/${id}`;
    });
    element('search').addEventListener('input', () => this.#fill());
    element('team').addEventListener('change', () => this.#fill());
    element('new-session').addEventListener('click', () => this.#dialog.open());
    document.addEventListener('keydown', (event) => this.#focusSearch(event));
  }

  show(state, canUseApi) {
    this.#state = state;
    this.#canUseApi = canUseApi;
    element('new-session').hidden = !canUseApi;
    this.#fillTeams();
    this.#fill();
  }

  clear() {
    this.#state = { sessions: [], ended: [], now: '' };
    element('search').value = '';
    this.#fill();
  }

  #fillTeams() {
    const { sessions, ended } = this.#state;
    const teams = [...new Set([...sessions, ...ended].map((session) => session.team ?? ''))].sort();
    const select = element('team');
    element('team-filter').hidden = teams.length < 2;
    const values = [ALL_TEAMS, ...teams];
    if ([...select.options].map((option) => option.value).join('\n') === values.join('\n')) return;
    const chosen = select.value;
    select.replaceChildren(...values.map((team) => new Option(team === ALL_TEAMS ? 'All' : team, team)));
    select.value = values.includes(chosen) ? chosen : ALL_TEAMS;
  }

  #fill() {
    const now = Date.parse(this.#state.now);
    const sessions = this.#state.sessions.filter((session) => this.#matches(session));
    const count = this.#state.sessions.length;
    setText(element('heading'), count > 0 ? `Sessions (${count})` : 'Sessions');
    this.#showRows(sessions, now);
    element('empty').hidden = sessions.length > 0;
    setText(element('empty'), count > 0 ? 'No session matches.' : 'No session is open.');
    const ended = this.#state.ended.filter((session) => this.#matches(session));
    fillList(element('ended'), ended.map((session) => endedRow(session, now)));
    element('past').hidden = ended.length === 0;
  }

  #matches({ id, team, title, url, profile, node }) {
    const wanted = element('team').value;
    if (wanted !== ALL_TEAMS && team !== wanted) return false;
    const words = element('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = [id, team, title, url, profile, node].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  }

  #showRows(sessions, now) {
    const list = element('sessions');
    const shown = new Set(sessions.map((session) => session.id));
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      const hadFocus = row.item.contains(document.activeElement);
      this.#rows.delete(id);
      row.item.remove();
      if (hadFocus) element('heading').focus({ preventScroll: true });
    }
    sessions.forEach((session, place) => {
      if (!this.#rows.has(session.id)) this.#rows.set(session.id, new Row(session.id));
      const { item } = this.#rows.get(session.id).fill(session, now, this.#canUseApi);
      const there = list.children[place];
      if (there !== item) list.insertBefore(item, there ?? null);
    });
  }

  /** Moves the focus to the search field when `/` is pressed outside of a field. */
  #focusSearch(event) {
    const isTyping = event.target.closest?.('input, textarea, select, [contenteditable]');
    if (event.key !== '/' || event.ctrlKey || event.metaKey || isTyping || element('list').hidden) return;
    event.preventDefault();
    element('search').focus();
  }
}

class Row {
  item = make('li', 'row');
  #link = make('a', 'title');
  #badges = make('ul', 'badges');
  #url = make('bdi', 'url quiet');
  #facts = make('ul', 'facts');
  #cdp;

  constructor(id) {
    this.#link.href = `#/sessions/${id}`;
    this.#link.dir = 'auto';
    const name = make('code', 'id', shortId(id));
    name.id = `id-${id}`;
    name.title = id;
    this.#badges.setAttribute('role', 'list');
    const copyId = button('Copy id', name.id, () => copy(id, 'The id'));
    this.#cdp = button('Copy cdpUrl', name.id, () => copyCdpUrl(id));
    const head = make('div', 'row-head', this.#link, this.#badges);
    const foot = make('div', 'row-foot', name, this.#facts, copyId, this.#cdp);
    this.item.append(head, this.#url, foot);
  }

  fill(session, now, canUseApi) {
    setText(this.#link, titleOf(session));
    showBadges(this.#badges, badgesOf(session));
    setText(this.#url, cutInTheMiddle(session.url ?? 'No page', MAX_URL_LENGTH));
    this.#url.title = session.url ?? '';
    fillList(this.#facts, factsOf(session, now));
    this.#cdp.hidden = !canUseApi;
    return this;
  }
}

function button(text, describedBy, act) {
  const made = make('button', 'small', text);
  made.type = 'button';
  made.setAttribute('aria-describedby', describedBy);
  made.addEventListener('click', act);
  return made;
}

/** Copies the address of a session's browser, which contains a token and is therefore not listed. */
export async function copyCdpUrl(id) {
  try {
    const { cdpUrl } = await ask(`/v2/interact/${id}`);
    if (cdpUrl) await copy(cdpUrl, 'cdpUrl');
    else notify('The session has ended.');
  } catch (error) {
    notify(error instanceof Failure ? error.message : 'cdpUrl cannot be copied.');
  }
}

/** Returns the facts about a session, such as its age, as rows for `fillList`. */
export function factsOf({ team, createdAt, expiresAt, lastActivity, profile, memoryBytes, node, isScrape }, now) {
  const left = Date.parse(expiresAt) - now;
  const facts = [
    ['fact', `open ${age(now - Date.parse(createdAt))}`, createdAt],
    ['fact', left > 0 ? `ends in ${age(left)}` : 'TTL expired', expiresAt],
    ['fact', `idle ${age(now - Date.parse(lastActivity))}`, lastActivity],
  ];
  if (team && team !== KEYLESS_TEAM) facts.unshift(['fact team', team, team]);
  if (isScrape) facts.unshift(['fact', 'scrape', 'The session of a scrape, which clients do not see']);
  if (Number.isFinite(memoryBytes)) facts.push(['fact', bytes(memoryBytes)]);
  if (profile) facts.push(['fact', `profile ${profile}`, profile]);
  if (node) facts.push(['fact', `on ${node}`, node]);
  return facts.map((fact) => [fact]);
}

function endedRow({ id, team, reason, endedAt, durationMs }, now) {
  return [
    ['id', shortId(id), id],
    ['team', team ?? '', team],
    [BAD_REASONS.includes(reason) ? 'badge failed' : 'badge', reasonOf(reason)],
    ['quiet', `after ${span(durationMs)}`],
    ['quiet', `${age(now - Date.parse(endedAt))} ago`, endedAt],
  ];
}
