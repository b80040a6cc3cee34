// Runs code and shows its output while it runs.

import { age, make, setText, sizeOf, smallButton, span } from '/operator/page/words.js';
import { failure, readEvents, send } from './api.js';
import { download } from './transfer.js';

/** The maximum number of characters that are shown. The beginning of longer output is removed. */
const MAX_SHOWN = 200_000;
/** The time between two updates of the output. */
const UPDATE_MS = 100;
const CLOCK_MS = 1000;
const NAMES = { node: 'Node', python: 'Python', bash: 'Bash' };

const element = (id) => document.getElementById(id);

export class Runner {
  /** The code that runs and is shown, or `null`. */
  #running = null;
  #shown = 0;
  /** Output that is not shown yet, as `[stream, text]`, and its number of characters. */
  #pending = [];
  #pendingSize = 0;
  #updateTimer = 0;
  /** True until code of this page has run. */
  #isUnused = true;

  clear(outcome = 'No code has run here yet.') {
    this.#shown = 0;
    this.#pending = [];
    this.#pendingSize = 0;
    this.#isUnused = true;
    element('stream').replaceChildren();
    delete element('stream').dataset.isCut;
    element('downloads').replaceChildren();
    for (const id of ['stream', 'result', 'downloads']) element(id).hidden = true;
    this.#showOutcome('', outcome);
  }

  /** Says that code of another client, or of an earlier visit, is running. */
  noticeOthers(isRunning) {
    if (!this.#isUnused || this.#running || !isRunning) return;
    this.#showOutcome('going', 'Other code is running. History will show its output.');
  }

  /** Stops the code, which loses the variables of its language. */
  stop() {
    this.#running?.request.abort();
  }

  /** Shows nothing more of the code that runs, which continues. */
  leave() {
    if (!this.#running) return;
    clearInterval(this.#running.clock);
    this.#running = null;
    this.#showButtons(false);
  }

  /** Runs code to its end. Does nothing while other code of this page runs. */
  async run(id, { code, language, timeout }) {
    if (this.#running) return;
    const running = { request: new AbortController(), clock: 0 };
    this.#running = running;
    this.clear();
    this.#isUnused = false;
    this.#showButtons(true);
    const startedAt = performance.now();
    const lasted = () => performance.now() - startedAt;
    const show = () => this.#showOutcome('going', `Running ${NAMES[language]}… ${lasted() < CLOCK_MS ? '' : age(lasted())}`);
    show();
    running.clock = setInterval(show, CLOCK_MS);
    try {
      const response = await send(`/v2/interact/${id}/execute`, {
        method: 'POST',
        json: { code, language, timeout },
        headers: { Accept: 'text/event-stream' },
        signal: running.request.signal,
      });
      if (!response.ok) throw await failure(response);
      const end = await this.#follow(running, response);
      this.#finish(running, () => {
        if (end) this.#showEnd(id, end, lasted());
        else this.#showOutcome('bad', 'The connection broke off. The code may have run.');
      });
    } catch (error) {
      const isStopped = running.request.signal.aborted;
      const lost = language === 'bash' ? '' : ` The variables of ${NAMES[language]} are lost.`;
      this.#finish(running, () => this.#showOutcome('bad', isStopped ? `Stopped.${lost}` : error.message));
    }
  }

  #finish(running, show) {
    clearInterval(running.clock);
    if (running !== this.#running) return;
    this.#running = null;
    this.#update();
    show();
    this.#showButtons(false);
  }

  /** Shows the output, and returns the data of the last event, or `null` if there is none. */
  async #follow(running, response) {
    for await (const { event, data } of readEvents(response)) {
      if (event === 'end') return data;
      if (running !== this.#running) continue;
      if (event === 'stdout' || event === 'stderr') this.#append(event, data.text);
      else if (event === 'result') this.#showResult(data.result);
    }
    return null;
  }

  #append(stream, text) {
    const last = this.#pending.at(-1);
    if (last?.[0] === stream) last[1] += text;
    else this.#pending.push([stream, text]);
    this.#pendingSize += text.length;
    while (this.#pendingSize - this.#pending[0][1].length >= MAX_SHOWN) {
      this.#pendingSize -= this.#pending.shift()[1].length;
    }
    this.#updateTimer ||= setTimeout(() => this.#update(), UPDATE_MS);
  }

  /** Shows the output that has arrived. Each update costs a layout of the page. */
  #update() {
    clearTimeout(this.#updateTimer);
    this.#updateTimer = 0;
    if (this.#pending.length === 0) return;
    const target = element('stream');
    const isAtEnd = target.scrollTop + target.clientHeight >= target.scrollHeight - 4;
    const parts = this.#pending.map(([stream, text]) => make('span', stream, text.slice(-MAX_SHOWN)));
    this.#pending = [];
    this.#pendingSize = 0;
    for (const part of parts) this.#shown += part.textContent.length;
    if (this.#shown > MAX_SHOWN) target.dataset.isCut = '';
    target.hidden = false;
    target.append(...parts);
    while (this.#shown > MAX_SHOWN && target.childElementCount > 1) {
      this.#shown -= target.firstElementChild.textContent.length;
      target.firstElementChild.remove();
    }
    if (isAtEnd) target.scrollTop = target.scrollHeight;
  }

  #showResult(text) {
    element('result').hidden = false;
    setText(element('result-text'), text.slice(0, MAX_SHOWN));
  }

  #showEnd(id, { exitCode, killed, error, truncated, files = [] }, lasted) {
    const parts = [killed ? 'killed' : `exit ${exitCode}`, span(lasted)];
    if (truncated) parts.push('the middle of the output is missing');
    if (error) parts.push(error);
    this.#showOutcome(error ? 'bad' : 'fine', parts.join(' · '));
    const rows = files.map(({ path, name, sizeBytes }) => {
      const button = smallButton('Download', `Download ${name}`, () => download(id, path, name));
      return make('li', 'file-row', make('bdi', 'file', name), make('span', 'quiet', sizeOf(sizeBytes)), button);
    });
    element('downloads').replaceChildren(...rows);
    element('downloads').hidden = rows.length === 0;
  }

  #showOutcome(className, text) {
    element('outcome').className = `outcome ${className}`;
    setText(element('outcome'), text);
  }

  /** Keeps the focus on one of the two buttons. */
  #showButtons(isRunning) {
    const [from, to] = isRunning ? ['run', 'stop'] : ['stop', 'run'];
    const hadFocus = document.activeElement === element(from);
    element(to).hidden = false;
    element(from).hidden = true;
    if (hadFocus) element(to).focus();
  }
}
