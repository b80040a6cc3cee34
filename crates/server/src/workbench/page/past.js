// The executions of a session that have ended, newest first, each with its code and output.

import { make, setText, span } from '/operator/page/words.js';
import { ask } from './api.js';

/** The maximum number of executions that are shown. */
const MAX_SHOWN = 50;
const NAMES = { node: 'Node', python: 'Python', bash: 'Bash' };

const element = (id) => document.getElementById(id);

export class PastExecutions {
  #id = '';
  #reuse;
  /** The number of the newest execution that is shown. */
  #newest = 0;
  /** The end of the last execution, according to the state of the server. */
  #endedAt = '';
  #isAsking = false;
  #isWanted = false;

  /** `reuse(execution)` puts the code of an execution into the editor. */
  constructor(reuse) {
    this.#reuse = reuse;
  }

  open(id) {
    this.close();
    this.#id = id;
    setText(element('history-note'), 'No code has run in this session.');
    this.refresh();
  }

  close() {
    this.#id = '';
    this.#newest = 0;
    this.#endedAt = '';
    element('past-executions').replaceChildren();
  }

  /** Refreshes the executions if the state of the session has another last one. */
  notice({ executions }) {
    const endedAt = executions[0]?.endedAt ?? '';
    if (endedAt === this.#endedAt) return;
    this.#endedAt = endedAt;
    this.refresh();
  }

  async refresh() {
    this.#isWanted = true;
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#isWanted && this.#id) {
      this.#isWanted = false;
      await this.#load(this.#id);
    }
    this.#isAsking = false;
  }

  async #load(id) {
    try {
      const { isKept, executions } = await ask(`/workbench/sessions/${id}/executions?after=${this.#newest}`);
      if (id !== this.#id) return;
      if (!isKept) setText(element('history-note'), 'This session keeps no history.');
      for (const execution of executions) this.#add(execution);
    } catch (error) {
      if (id !== this.#id) return;
      const isForbidden = error.status === 403;
      if (isForbidden) setText(element('history-note'), 'This key does not show the code of sessions.');
      else if (error.status !== 410) setText(element('history-note'), error.message);
    }
  }

  #add(execution) {
    this.#newest = Math.max(this.#newest, execution.number);
    setText(element('history-note'), '');
    const list = element('past-executions');
    list.prepend(describe(execution, () => this.#reuse(execution)));
    while (list.childElementCount > MAX_SHOWN) list.lastElementChild.remove();
  }
}

function describe(execution, reuse) {
  const { number, language, startedAt, durationMs, code, stdout, stderr, result, error, exitCode, killed } = execution;
  const outcome = killed ? 'killed' : `exit ${exitCode}`;
  const first = code.split('\n').find((line) => line.trim() !== '') ?? '';
  const time = new Date(startedAt).toLocaleTimeString();
  const summary = make('summary', '',
    make('span', 'number', `${number}`),
    make('span', 'language', NAMES[language] ?? language),
    make('span', exitCode === 0 && !killed ? 'fine' : 'bad', outcome),
    make('span', 'quiet', `${span(durationMs)} · ${time}`),
    make('code', 'first', first.slice(0, 200)));
  const again = make('button', 'small', 'Put into the editor');
  again.type = 'button';
  again.addEventListener('click', reuse);
  const texts = [['Code', code], ['Output', stdout], ['Errors', stderr], ['Result', result], ['Failure', error]];
  const shown = texts.filter(([, text]) => text).map(([name, text]) => make('div', 'text', make('h4', '', name), make('pre', '', text)));
  const item = make('li', '', make('details', '', summary, ...shown, again));
  return item;
}
