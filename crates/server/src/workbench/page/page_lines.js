// The console and the requests of a session's page, from the time at which the session is opened
// here.

import { bytes, cutInTheMiddle, make, setText, span } from '/operator/page/words.js';
import { failure, readEvents, send } from './api.js';

/** The maximum number of lines of each list. The oldest are removed. */
const MAX_LINES = 500;
const MAX_URL_LENGTH = 160;
const RETRY_MS = 3000;

const element = (id) => document.getElementById(id);

export class PageLines {
  #id = '';
  /** Ends the open request, or `null`. Hidden pages have none, because browsers open few at once. */
  #watching = null;
  /** The time of the last line of the console. */
  #lastAt = 0;

  constructor() {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#stop() : this.#start()));
  }

  open(id) {
    this.close();
    this.#id = id;
    this.#lastAt = 0;
    for (const name of ['console', 'network']) {
      element(`${name}-lines`).replaceChildren();
      setText(element(`${name}-note`), 'Connecting…');
    }
    this.#start();
  }

  close() {
    this.#stop();
    this.#id = '';
  }

  #start() {
    if (!this.#id || this.#watching || document.hidden) return;
    this.#watching = new AbortController();
    this.#watch(this.#id, this.#watching.signal);
  }

  #stop() {
    this.#watching?.abort();
    this.#watching = null;
  }

  async #watch(id, signal) {
    while (!signal.aborted) {
      try {
        const response = await send(`/workbench/sessions/${id}/lines`, { signal });
        if (!response.ok) throw await failure(response);
        note('Shown while this page is open, for the current tab.');
        await this.#follow(response);
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 403) note('This key does not show what pages do.');
        else if (error.status) note(error.message);
        if ([403, 404, 410].includes(error.status)) return;
      }
      await pause(signal);
    }
  }

  /** Adds the lines of a response, which repeats earlier lines of the console. */
  async #follow(response) {
    const seenUntil = this.#lastAt;
    for await (const { data } of readEvents(response)) {
      if (data.kind === 'console') {
        if (data.at <= seenUntil) continue;
        this.#lastAt = Math.max(this.#lastAt, data.at);
      }
      add(data);
    }
  }
}

function note(text) {
  for (const name of ['console', 'network']) setText(element(`${name}-note`), text);
}

/** Waits before the next attempt. */
function pause(signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, RETRY_MS);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

function add(line) {
  if (line.kind === 'console') append('console', consoleLine(line));
  else if (line.kind === 'network') append('network', networkLine(line));
  else if (line.kind === 'dropped') {
    for (const name of ['console', 'network']) append(name, make('li', 'quiet', `${line.count} lines were left out here.`));
  }
}

function append(name, item) {
  const list = element(`${name}-lines`);
  const panel = element(name);
  const isAtEnd = panel.scrollTop + panel.clientHeight >= panel.scrollHeight - 4;
  list.append(item);
  while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
  if (isAtEnd) panel.scrollTop = panel.scrollHeight;
}

function consoleLine({ level, text, source, at }) {
  const item = make('li', `line ${level}`, make('span', 'level', level), make('pre', '', text));
  item.title = new Date(at).toLocaleTimeString();
  if (source) item.append(make('bdi', 'quiet source', cutInTheMiddle(source, MAX_URL_LENGTH)));
  return item;
}

function networkLine(line) {
  const { method, url, status, error, durationMs, bytes: size } = line;
  const isBad = error !== null || status >= 400;
  const facts = [span(durationMs)];
  if (Number.isFinite(size)) facts.push(size < 1024 ** 2 ? `${Math.ceil(size / 1024)} KiB` : bytes(size));
  const summary = make('summary', '',
    make('span', 'method', method),
    make('span', isBad ? 'bad' : 'fine', error ?? String(status ?? '?')),
    make('bdi', 'url', cutInTheMiddle(url, MAX_URL_LENGTH)),
    make('span', 'quiet', facts.join(' · ')));
  summary.title = url;
  return make('li', 'line', make('details', '', summary, ...detailsOf(line)));
}

function detailsOf({ type, mimeType, requestHeaders, responseHeaders }) {
  const parts = [make('p', 'quiet', [type, mimeType].filter(Boolean).join(' · '))];
  for (const [name, headers] of [['Request', requestHeaders], ['Response', responseHeaders]]) {
    const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}`);
    if (lines.length > 0) parts.push(make('h4', '', `${name} headers`), make('pre', '', lines.join('\n')));
  }
  return parts;
}
