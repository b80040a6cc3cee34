// The files in the working directory of a session, one directory at a time. The tab is not offered
// by servers that do not list files.

import { age, make, setText, sizeOf, smallButton } from '/operator/page/words.js';
import { ask, failure, send } from './api.js';
import { notify } from './notice.js';
import { TRANSFER_TIMEOUT_MS, download, filesOf } from './transfer.js';

/** The directory of downloads, which is not in the working directory. */
const DOWNLOADS = '.downloads';

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
      const hasDownloads = directory === '' && (await hasFiles(id, DOWNLOADS));
      if (!isShown()) return;
      this.#offer(true);
      this.#show(list, hasDownloads);
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

  #show({ files, truncated }, hasDownloads) {
    const where = this.#directory ? `${this.#directory}: ` : '';
    const count = files.length === 1 ? '1 entry' : `${files.length} entries`;
    setText(element('files-note'), `${where}${count}${truncated ? ', and more' : ''}`);
    const rows = hiddenLast(files).map((file) => this.#row(file));
    if (this.#directory) rows.unshift(this.#parentRow());
    if (hasDownloads) {
      const open = smallButton('Downloads/', 'Open the downloads', () => this.#enter(DOWNLOADS));
      rows.unshift(make('li', 'file-row', open));
    }
    element('file-rows').replaceChildren(...rows);
  }

  #parentRow() {
    const parent = this.#directory.split('/').slice(0, -1).join('/');
    return make('li', 'file-row', smallButton('..', 'Parent directory', () => this.#enter(parent)));
  }

  #row({ path, type, sizeBytes, modifiedAt }) {
    const name = path.split('/').at(-1);
    const facts = type === 'file' ? [sizeOf(sizeBytes)] : [type];
    const modified = Date.parse(modifiedAt);
    if (!Number.isNaN(modified)) facts.push(`${age(Date.now() - modified)} ago`);
    const row = make('li', 'file-row');
    if (type === 'directory') row.append(smallButton(`${name}/`, `Open ${path}`, () => this.#enter(path)));
    else row.append(make('bdi', 'file', name));
    row.append(make('span', 'quiet', facts.join(' · ')));
    if (type === 'file') row.append(smallButton('Download', `Download ${path}`, () => download(this.#id, path)));
    row.append(smallButton('Delete', `Delete ${path}`, () => this.#change(path, 'delete', { method: 'DELETE' })));
    return row;
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

/** Returns files whose names begin with a dot after the others. */
function hiddenLast(files) {
  const isHidden = ({ path }) => path.split('/').at(-1).startsWith('.');
  return [...files.filter((file) => !isHidden(file)), ...files.filter(isHidden)];
}

async function hasFiles(id, directory) {
  const list = await ask(`${filesOf(id)}?path=${encodeURIComponent(directory)}`).catch(() => null);
  return Boolean(list?.files.length);
}
