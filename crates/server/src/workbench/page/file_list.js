// The files in the working directory of a session, one directory at a time. The tab is not offered
// by servers that do not list files.

import { age, make, setText } from '/operator/page/words.js';
import { ask, failure, send } from './api.js';
import { notify } from './notice.js';

const TRANSFER_TIMEOUT_MS = 300000;

const element = (id) => document.getElementById(id);

export class FileList {
  #id = '';
  /** The directory that is shown; empty for the working directory. */
  #directory = '';
  #offer;
  #isOffered = false;

  /** `offer(isThere)` shows or hides the tab. */
  constructor(offer) {
    this.#offer = offer;
    element('refresh-files').addEventListener('click', () => this.refresh());
    element('upload').addEventListener('change', () => this.#upload());
  }

  open(id) {
    this.#id = id;
    this.#directory = '';
    this.#isOffered = true;
    this.refresh();
  }

  close() {
    this.#id = '';
    this.#isOffered = false;
    this.#offer(false);
    element('file-rows').replaceChildren();
  }

  async refresh() {
    if (!this.#isOffered) return;
    const [id, directory] = [this.#id, this.#directory];
    const isShown = () => id === this.#id && directory === this.#directory;
    const query = directory ? `?path=${encodeURIComponent(directory)}` : '';
    try {
      const list = await ask(`${filesOf(id)}${query}`);
      if (!isShown()) return;
      this.#offer(true);
      this.#show(list);
    } catch (error) {
      if (isShown()) this.#showFailure(error);
    }
  }

  #showFailure(error) {
    const hasNoRoute = error.status === 404 && error.message.startsWith('Not Found');
    if (hasNoRoute) {
      this.#isOffered = false;
      this.#offer(false);
    } else if (error.status === 404 && this.#directory) {
      this.#enter('');
    } else {
      setText(element('files-note'), error.message);
    }
  }

  #enter(directory) {
    this.#directory = directory;
    this.refresh();
  }

  #show({ files, truncated }) {
    const where = this.#directory ? `${this.#directory}: ` : '';
    const count = files.length === 1 ? '1 entry' : `${files.length} entries`;
    setText(element('files-note'), `${where}${count}${truncated ? ', and more' : ''}`);
    const rows = files.map((file) => this.#row(file));
    if (this.#directory) rows.unshift(this.#parentRow());
    element('file-rows').replaceChildren(...rows);
  }

  #parentRow() {
    const parent = this.#directory.split('/').slice(0, -1).join('/');
    return make('li', 'file-row', button('..', 'Parent directory', () => this.#enter(parent)));
  }

  #row({ path, type, sizeBytes, modifiedAt }) {
    const name = path.split('/').at(-1);
    const facts = type === 'file' ? [sizeOf(sizeBytes)] : [type];
    const modified = Date.parse(modifiedAt);
    if (!Number.isNaN(modified)) facts.push(`${age(Date.now() - modified)} ago`);
    const row = make('li', 'file-row');
    if (type === 'directory') row.append(button(`${name}/`, `Open ${path}`, () => this.#enter(path)));
    else row.append(make('bdi', 'file', name));
    row.append(make('span', 'quiet', facts.join(' · ')));
    if (type === 'file') row.append(button('Download', `Download ${path}`, () => this.#download(path)));
    row.append(button('Delete', `Delete ${path}`, () => this.#change(path, 'delete', { method: 'DELETE' })));
    return row;
  }

  async #download(path) {
    try {
      const response = await send(filesOf(this.#id, path), { signal: AbortSignal.timeout(TRANSFER_TIMEOUT_MS) });
      if (!response.ok) throw await failure(response);
      const link = make('a');
      link.href = URL.createObjectURL(await response.blob());
      link.download = path.split('/').at(-1);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) {
      notify(`Cannot download ${path}: ${error.message}`);
    }
  }

  async #upload() {
    const files = [...element('upload').files];
    element('upload').value = '';
    const directory = this.#directory ? `${this.#directory}/` : '';
    // Another session can be opened meanwhile.
    const id = this.#id;
    for (const file of files) await this.#change(`${directory}${file.name}`, 'upload', { method: 'PUT', body: file }, id);
  }

  async #change(path, verb, options, id = this.#id) {
    try {
      const signal = AbortSignal.timeout(TRANSFER_TIMEOUT_MS);
      const response = await send(filesOf(id, path), { ...options, signal });
      if (!response.ok) throw await failure(response);
    } catch (error) {
      notify(`Cannot ${verb} ${path}: ${error.message}`);
    }
    await this.refresh();
  }
}

/** Returns the path of the files of a session, or of one of them. */
function filesOf(id, file = '') {
  const encoded = file.split('/').map(encodeURIComponent).join('/');
  return `/v2/interact/${id}/files${file ? `/${encoded}` : ''}`;
}

function sizeOf(count) {
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${Math.ceil(count / 1024)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

function button(text, label, act) {
  const made = make('button', 'small', text);
  made.type = 'button';
  made.setAttribute('aria-label', label);
  made.addEventListener('click', act);
  return made;
}
