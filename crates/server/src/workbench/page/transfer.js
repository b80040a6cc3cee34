// The addresses of the files of a session, and downloads.

import { make } from '/operator/page/words.js';
import { failure, send } from './api.js';
import { notify } from './notice.js';

export const TRANSFER_TIMEOUT_MS = 300000;
const REVOKE_MS = 10000;

/** Returns the path of the files of a session, or of one of them. */
export function filesOf(id, file = '') {
  const encoded = file.split('/').map(encodeURIComponent).join('/');
  return `/v2/interact/${id}/files${file ? `/${encoded}` : ''}`;
}

/** Saves a file of a session on the viewer's machine, with this name. */
export async function download(id, path, name = path.split('/').at(-1)) {
  try {
    const response = await send(filesOf(id, path), { signal: AbortSignal.timeout(TRANSFER_TIMEOUT_MS) });
    if (!response.ok) throw await failure(response);
    const link = make('a');
    link.href = URL.createObjectURL(await response.blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
  } catch (error) {
    notify(`Cannot download ${name}: ${error.message}`);
  }
}
