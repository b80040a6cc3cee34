// The live view of a session in a frame. It only watches until the viewer takes it over.

import { make, setText } from '/operator/page/words.js';

const element = (id) => document.getElementById(id);

export class LiveFrame {
  /** The link that only watches, and the one that also accepts input. Empty without a live view. */
  #links = { watch: '', control: '' };
  #isControlled = false;
  #frame = null;

  constructor() {
    element('take-over').addEventListener('click', () => this.#toggle());
  }

  /** Shows the live view with these links. */
  show({ watch, control }) {
    const links = { watch: ownAddress(watch), control: ownAddress(control) };
    if (links.watch === this.#links.watch && links.control === this.#links.control && this.#frame) return;
    this.#links = links;
    this.#isControlled = false;
    this.#fill();
  }

  close() {
    this.#links = { watch: '', control: '' };
    this.#isControlled = false;
    this.#frame?.remove();
    this.#frame = null;
  }

  #toggle() {
    this.#isControlled = !this.#isControlled;
    this.#fill();
    if (this.#isControlled) this.#frame?.focus();
  }

  #fill() {
    const { watch, control } = this.#links;
    const button = element('take-over');
    button.hidden = !control;
    button.setAttribute('aria-pressed', String(this.#isControlled));
    setText(button, this.#isControlled ? 'Only watch' : 'Take over');
    element('sight').classList.toggle('controlled', this.#isControlled);
    element('open-live').hidden = !watch;
    element('open-live').href = control || watch;
    this.#frame?.remove();
    this.#frame = null;
    if (!watch) {
      element('sight').replaceChildren(make('p', 'quiet', 'This session was created without a live view.'));
      return;
    }
    // A new frame instead of a new address, because each address would be a step back in the history.
    this.#frame = make('iframe', 'live-frame');
    this.#frame.title = this.#isControlled ? 'Live view, which accepts input' : 'Live view';
    this.#frame.allow = 'clipboard-read; clipboard-write';
    this.#frame.src = this.#isControlled ? control : watch;
    element('sight').replaceChildren(this.#frame);
  }
}

/**
 * Returns the address of a link on the origin of this page, which can differ from the one in the
 * link (`HEARTH_PUBLIC_URL`). Frames may show this origin only.
 */
function ownAddress(link) {
  if (!link) return '';
  const { pathname, search } = new URL(link);
  return `${location.origin}${pathname}${search}`;
}
