// The cards of the sessions, each with a thumbnail and a button to end it. Cards are kept between
// updates.

import { age, bytes, cutInTheMiddle, fillList, make, setText, shortId, span, titleOf } from './words.js';

const THUMBNAIL_INTERVAL_MS = 3000;
const CHECK_INTERVAL_MS = 250;
/**
 * Browsers open six connections to a server, and the request for the state must not wait for
 * thumbnails.
 */
const MAX_CONCURRENT_THUMBNAILS = 3;
const END_TIMEOUT_MS = 30000;
const CONFIRM_MS = 4000;
/** The time within which two presses count as one. */
const DOUBLE_PRESS_MS = 400;
/** The maximum length of a URL that fits into three lines of a narrow card. */
const MAX_URL_LENGTH = 72;
const MAX_EXECUTIONS = 4;

export class SessionCards {
  #list;
  #on;
  #cards = new Map();
  #isPaused = true;
  #loading = 0;

  /**
   * `on` has `request(path, options)`, `ended()` and `lostFocus()`. `ended()` is called after this
   * page has ended a session.
   */
  constructor(list, on) {
    this.#list = list;
    this.#on = on;
    setInterval(() => this.#loadThumbnails(), CHECK_INTERVAL_MS);
  }

  /** Shows these sessions, oldest first, so that a new one does not move the others. */
  show(sessions, now) {
    this.#isPaused = false;
    this.#keepOnly(new Set(sessions.map((session) => session.id)));
    const inOrder = sessions.toSorted((a, b) => (a.createdAt + a.id < b.createdAt + b.id ? -1 : 1));
    inOrder.forEach((session, place) => {
      const { item } = this.#cardOf(session.id).fill(session, now);
      const there = this.#list.children[place];
      if (there !== item) this.#list.insertBefore(item, there ?? null);
    });
  }

  /** Keeps the cards, and requests no thumbnails until the next `show`. */
  pause() {
    this.#isPaused = true;
  }

  clear() {
    this.pause();
    this.#keepOnly(new Set());
  }

  #cardOf(id) {
    if (!this.#cards.has(id)) this.#cards.set(id, new Card(id, this.#on));
    return this.#cards.get(id);
  }

  #keepOnly(ids) {
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      const hadFocus = card.item.contains(document.activeElement);
      this.#cards.delete(id);
      card.item.remove();
      if (hadFocus) this.#on.lostFocus();
    }
  }

  #loadThumbnails() {
    if (this.#isPaused || document.hidden) return;
    const due = [...this.#cards.values()].filter((card) => card.isThumbnailDue());
    due.sort((a, b) => a.askedAt - b.askedAt);
    for (const card of due.slice(0, MAX_CONCURRENT_THUMBNAILS - this.#loading)) {
      this.#loading += 1;
      card.loadThumbnail().finally(() => {
        this.#loading -= 1;
      });
    }
  }
}

class Card {
  item = make('li', 'card');
  /** The time of the last request for the thumbnail. */
  askedAt = -THUMBNAIL_INTERVAL_MS;
  #path;
  #on;
  #isSeen = false;
  #hasThumbnail = false;
  #isLoading = false;
  #frame = make('div', 'frame', make('p', 'quiet', 'No thumbnail yet'));
  #team = make('bdi', 'team quiet');
  #liveViewLink = make('a', 'button');
  #title = make('p', 'title');
  #url = make('p', 'url quiet');
  #facts = make('ul', 'facts');
  #executions = make('ul', 'executions');
  #end;

  constructor(id, on) {
    this.#path = `/operator/sessions/${encodeURIComponent(id)}`;
    this.#on = on;
    const name = make('h3', 'id', shortId(id));
    name.title = id;
    name.id = `name-${id}`;
    const problem = make('p', 'problem bad');
    problem.setAttribute('role', 'status');
    this.#end = new EndButton(problem, () => this.#endSession());
    for (const control of [this.#end.button, this.#liveViewLink]) control.setAttribute('aria-describedby', name.id);
    this.#title.dir = 'auto';
    Object.assign(this.#liveViewLink, { textContent: 'Live view', target: '_blank', rel: 'noopener' });
    const head = make('div', 'head', name, this.#team, this.#end.button);
    const sight = make('div', 'sight', this.#frame, this.#liveViewLink);
    const page = make('div', 'page', this.#title, this.#url, this.#facts);
    this.item.append(head, problem, sight, page, this.#executions);
    new IntersectionObserver((entries) => {
      this.#isSeen = entries.at(-1).isIntersecting;
    }).observe(this.item);
  }

  fill(session, now) {
    const { team, title, url, liveViewUrl, hasPicture } = session;
    setText(this.#team, team ?? '');
    this.#team.title = team ?? '';
    setText(this.#title, titleOf(session));
    this.#title.title = title ?? '';
    setText(this.#url, cutInTheMiddle(url ?? 'No page', MAX_URL_LENGTH));
    this.#url.title = url ?? '';
    const isLink = /^https?:\/\//.test(liveViewUrl);
    this.#liveViewLink.hidden = !isLink;
    if (isLink && this.#liveViewLink.getAttribute('href') !== liveViewUrl) this.#liveViewLink.href = liveViewUrl;
    this.#hasThumbnail = hasPicture;
    if (!hasPicture) this.#showNoThumbnail('Created without live view');
    fillList(this.#facts, factsOf(session, now));
    fillList(this.#executions, executionsOf(session, now));
    return this;
  }

  isThumbnailDue() {
    const isTime = performance.now() - this.askedAt >= THUMBNAIL_INTERVAL_MS;
    return this.#isSeen && this.#hasThumbnail && !this.#isLoading && isTime;
  }

  async loadThumbnail() {
    this.#isLoading = true;
    this.askedAt = performance.now();
    try {
      const response = await this.#on.request(`${this.#path}/picture`);
      if (response.status === 200) await this.#showThumbnail(await response.blob());
      else if (response.status === 204) this.#showNoThumbnail('No thumbnail now');
      else if (response.status === 404) this.#hasThumbnail = false;
    } catch {
      // Keep the last thumbnail. Another part of the page shows whether the server responds.
    } finally {
      this.#isLoading = false;
    }
  }

  /** Replaces the thumbnail once the new one is decoded, to avoid flicker. */
  async #showThumbnail(blob) {
    const image = make('img');
    image.alt = 'Thumbnail of the page';
    image.src = URL.createObjectURL(blob);
    try {
      await image.decode();
      this.#frame.replaceChildren(image);
    } finally {
      URL.revokeObjectURL(image.src);
    }
  }

  #showNoThumbnail(word) {
    if (this.#frame.textContent !== word) this.#frame.replaceChildren(make('p', 'quiet', word));
  }

  /** Ends the session. Returns an error message, or an empty string. */
  async #endSession() {
    try {
      const options = { method: 'DELETE', signal: AbortSignal.timeout(END_TIMEOUT_MS) };
      const response = await this.#on.request(this.#path, options);
      if (response.ok || response.status === 404) return '';
      const { error } = await response.json().catch(() => ({}));
      return `Cannot end the session: ${error ?? `status ${response.status}`}`;
    } catch {
      return 'Cannot end the session: the server does not respond';
    } finally {
      this.#on.ended();
    }
  }
}

/**
 * A button that acts on the second press. It is never disabled, because a disabled button loses the
 * focus.
 */
class EndButton {
  button = make('button', 'end', 'End');
  #problem;
  #end;
  #askedAt = 0;
  #timer = 0;

  constructor(problem, end) {
    this.#problem = problem;
    this.#end = end;
    this.button.type = 'button';
    this.button.addEventListener('click', () => this.#press());
    this.button.addEventListener('keydown', (event) => {
      if (event.repeat && event.key === 'Enter') event.preventDefault();
      if (event.key === 'Escape' && this.button.dataset.step === 'asking') this.#show('', 'End');
    });
  }

  #press() {
    const { step } = this.button.dataset;
    if (step === 'ending') return;
    if (step !== 'asking') this.#ask();
    else if (performance.now() - this.#askedAt > DOUBLE_PRESS_MS) this.#confirmed();
  }

  #ask() {
    this.#askedAt = performance.now();
    this.#show('asking', 'End? Press again');
    this.#fallBackLater();
  }

  async #confirmed() {
    this.#show('ending', 'Ending…');
    const problem = await this.#end();
    setText(this.#problem, problem);
    this.#show(problem ? '' : 'ending', problem ? 'End' : 'Ended');
    // If the session is still listed after that time, the viewer can end it again.
    if (!problem) this.#fallBackLater();
  }

  #fallBackLater() {
    this.#timer = setTimeout(() => this.#show('', 'End'), CONFIRM_MS);
  }

  #show(step, text) {
    clearTimeout(this.#timer);
    this.button.dataset.step = step;
    setText(this.button, text);
    if (step) setText(this.#problem, '');
  }
}

function factsOf({ createdAt, expiresAt, lastActivity, memoryBytes, profile, node, isScrape }, now) {
  const left = Date.parse(expiresAt) - now;
  const facts = [
    ['fact', `open ${age(now - Date.parse(createdAt))}`, createdAt],
    ['fact', left > 0 ? `ends in ${age(left)}` : 'TTL expired', expiresAt],
    ['fact', `idle ${age(now - Date.parse(lastActivity))}`, lastActivity],
  ];
  if (isScrape) facts.unshift(['fact', 'scrape', 'The session of a scrape, which clients do not see']);
  if (Number.isFinite(memoryBytes)) facts.push(['fact', bytes(memoryBytes)]);
  if (profile) facts.push(['fact', `profile ${profile}`, profile]);
  if (node) facts.push(['fact', `on ${node}`, node]);
  return facts.map((fact) => [fact]);
}

function executionsOf({ executions, running }, now) {
  const ended = executions.toSorted((a, b) => Date.parse(b.endedAt) - Date.parse(a.endedAt));
  return [
    ...running.map((language) => [['language', language], ['going', 'running now']]),
    ...ended.slice(0, MAX_EXECUTIONS).map(({ language, endedAt, durationMs, exitCode, killed }) => [
      ['language', language],
      [killed || exitCode !== 0 ? 'bad' : 'fine', killed ? 'killed' : `exit ${exitCode ?? 'unknown'}`],
      ['lasted', span(durationMs)],
      ['when', `${age(now - Date.parse(endedAt))} ago`, endedAt],
    ]),
  ];
}
