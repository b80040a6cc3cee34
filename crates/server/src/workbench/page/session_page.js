// The page of one session.
//
// - live_frame.js  the live view, which a press takes over
// - editor.js      the code editor; examples.js has code to begin with
// - runner.js      runs the code and shows its output while it runs
// - copy_as.js     the request as a program
// - tabs.js        output, history, console, network and files, of which one is visible
// - past.js        the executions that have ended
// - page_lines.js  the console and the requests of the page
// - file_list.js   the files of the session; transfer.js downloads them

import { fillList, setText, shortId, titleOf } from '/operator/page/words.js';
import { ask } from './api.js';
import { badgesOf, showBadges } from './badges.js';
import { copyAs } from './copy_as.js';
import { Editor } from './editor.js';
import { EndButton } from './end_button.js';
import { FileList } from './file_list.js';
import { LiveFrame } from './live_frame.js';
import { copy, notify } from './notice.js';
import { PageLines } from './page_lines.js';
import { PastExecutions } from './past.js';
import { Runner } from './runner.js';
import { copyCdpUrl, factsOf, reasonOf } from './session_list.js';
import { Tabs } from './tabs.js';

const END_TIMEOUT_MS = 30000;

const element = (id) => document.getElementById(id);

export class SessionPage {
  #on;
  /** The id of the session that is open, or an empty text. */
  #id = '';
  #canUseApi = false;
  #isOver = false;
  #live = new LiveFrame();
  #editor = new Editor(() => this.#run());
  #runner = new Runner();
  #tabs = new Tabs((name) => this.#tabShown(name));
  #past = new PastExecutions((execution) => this.#editor.show(execution.language, execution.code));
  #lines = new PageLines();
  #files = new FileList((isThere) => this.#tabs.offer('files', isThere));
  #endButton;

  /** `on.changed()` is called after this page has changed something on the server. */
  constructor(on) {
    this.#on = on;
    this.#endButton = new EndButton(element('end'), () => this.#end());
    element('copy-id').addEventListener('click', () => copy(this.#id, 'The id'));
    element('copy-cdp').addEventListener('click', () => copyCdpUrl(this.#id));
    element('run').addEventListener('click', () => this.#run());
    element('stop').addEventListener('click', () => this.#runner.stop());
    element('copy-as').addEventListener('change', () => this.#copyAs());
  }

  open(id, state, canUseApi) {
    if (id === this.#id) return;
    this.close();
    this.#id = id;
    this.#canUseApi = canUseApi;
    this.#isOver = false;
    setText(element('session-title'), shortId(id));
    element('session-title').title = id;
    this.#showControls(true);
    this.#editor.open(canUseApi);
    this.#runner.clear(canUseApi ? undefined : 'This key does not run code.');
    this.#tabs.select('output');
    this.#past.open(id);
    this.#lines.open(id);
    if (canUseApi) this.#files.open(id);
    this.update(state);
    this.#load();
  }

  close() {
    if (!this.#id) return;
    this.#id = '';
    this.#runner.leave();
    this.#live.close();
    this.#lines.close();
    this.#past.close();
    this.#files.close();
    this.#endButton.reset();
  }

  /** Shows what the state of the server says about the session. */
  update(state) {
    if (!this.#id) return;
    const session = state.sessions.find((one) => one.id === this.#id);
    if (session) {
      setText(element('page-title'), titleOf(session));
      setText(element('page-url'), session.url ?? '');
      showBadges(element('session-badges'), badgesOf(session));
      fillList(element('session-facts'), factsOf(session, Date.parse(state.now)));
      if (this.#canUseApi) this.#runner.noticeOthers(session.running.length > 0);
      this.#past.notice(session);
      if (!this.#canUseApi) this.#live.show({ watch: session.liveViewUrl, control: '' });
    } else if (!this.#isOver && this.#canUseApi) {
      this.#load();
    } else if (!this.#isOver) {
      this.#showEnd('This session has ended, or is not known.');
    }
  }

  /** Reads the links of the session, or its end. */
  async #load() {
    const id = this.#id;
    if (!this.#canUseApi) return;
    try {
      const session = await ask(`/v2/interact/${id}`);
      if (id !== this.#id) return;
      if (session.status === 'active') {
        this.#live.show({ watch: session.liveViewUrl, control: session.interactiveLiveViewUrl });
      } else {
        this.#showEnd(`This session has ended: ${reasonOf(session.destroyedReason)}.`);
      }
    } catch (error) {
      if (id === this.#id && [403, 404, 410].includes(error.status)) this.#showEnd(error.message);
    }
  }

  #showEnd(sentence) {
    this.#isOver = true;
    this.#lines.close();
    this.#live.close();
    this.#showControls(false);
    showBadges(element('session-badges'), []);
    fillList(element('session-facts'), []);
    setText(element('ended-note'), sentence);
  }

  #showControls(isActive) {
    element('ended-note').hidden = isActive;
    element('end').hidden = !isActive;
    element('copy-cdp').hidden = !isActive || !this.#canUseApi;
    element('code').hidden = !isActive || !this.#canUseApi;
    document.querySelector('.work').hidden = !isActive;
  }

  async #run() {
    if (!this.#canUseApi || this.#isOver) return;
    this.#tabs.select('output');
    const id = this.#id;
    const running = this.#runner.run(id, this.#editor.request());
    this.#on.changed();
    await running;
    if (id !== this.#id) return;
    this.#past.refresh();
    this.#files.refresh();
    this.#on.changed();
  }

  #tabShown(name) {
    if (name === 'history') this.#past.refresh();
    if (name === 'files') this.#files.refresh();
  }

  async #copyAs() {
    const select = element('copy-as');
    const form = select.value;
    select.value = '';
    if (form) await copy(copyAs(form, this.#id, this.#editor.request()), 'The program');
  }

  async #end() {
    const id = this.#id;
    const path = this.#canUseApi ? `/v2/interact/${id}` : `/operator/sessions/${id}`;
    try {
      const ended = await ask(path, { method: 'DELETE', signal: AbortSignal.timeout(END_TIMEOUT_MS) });
      if (ended.warning) notify(ended.warning);
      if (id === this.#id) this.#showEnd('This session has ended: deleted.');
    } catch (error) {
      notify(`Cannot end the session: ${error.message}`);
    }
    this.#on.changed();
  }
}
