// A button that ends a session on its second press.

import { setText } from '/operator/page/words.js';

const CONFIRM_MS = 4000;
/** The time within which two presses count as one. */
const DOUBLE_PRESS_MS = 400;

export class EndButton {
  #button;
  #end;
  #askedAt = 0;
  #timer = 0;

  /** `end()` ends the session. */
  constructor(button, end) {
    this.#button = button;
    this.#end = end;
    button.addEventListener('click', () => this.#press());
    button.addEventListener('keydown', (event) => {
      if (event.repeat && event.key === 'Enter') event.preventDefault();
      if (event.key === 'Escape') this.reset();
    });
  }

  reset() {
    clearTimeout(this.#timer);
    delete this.#button.dataset.step;
    setText(this.#button, 'End');
  }

  #press() {
    if (this.#button.dataset.step !== 'asking') {
      this.#askedAt = performance.now();
      this.#button.dataset.step = 'asking';
      setText(this.#button, 'End? Press again');
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.reset(), CONFIRM_MS);
    } else if (performance.now() - this.#askedAt > DOUBLE_PRESS_MS) {
      this.reset();
      this.#end();
    }
  }
}
