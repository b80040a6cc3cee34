// The dialog that creates a session.

import { setText } from '/operator/page/words.js';
import { ask } from './api.js';
import { notify } from './notice.js';

/** Creation may wait for resources of other sessions. */
const CREATION_TIMEOUT_MS = 90000;

const element = (id) => document.getElementById(id);

export class SessionDialog {
  #isCreating = false;
  #created;

  /** `created(id)` is called when a session was created. */
  constructor(created) {
    this.#created = created;
    element('creation-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#create();
    });
    element('cancel-creation').addEventListener('click', () => element('creation').close());
  }

  open() {
    setText(element('creation-problem'), '');
    element('creation').showModal();
    element('profile').focus();
  }

  async #create() {
    if (this.#isCreating) return;
    this.#isCreating = true;
    setText(element('create'), 'Creating…');
    setText(element('creation-problem'), '');
    try {
      const signal = AbortSignal.timeout(CREATION_TIMEOUT_MS);
      const { id, warning } = await ask('/v2/interact', { method: 'POST', json: wishes(), signal });
      element('creation').close();
      if (warning) notify(warning);
      this.#created(id);
    } catch (error) {
      setText(element('creation-problem'), error.message);
    } finally {
      this.#isCreating = false;
      setText(element('create'), 'Create');
    }
  }
}

function wishes() {
  const body = {
    ttl: element('ttl').valueAsNumber,
    activityTtl: element('activity-ttl').valueAsNumber,
    zeroDataRetention: element('zero-data-retention').checked,
  };
  const name = element('profile').value.trim();
  if (name) body.profile = { name, saveChanges: element('save-changes').checked };
  return body;
}
