// Requests to the server, and server-sent events.

import { currentKey } from '/operator/page/key.js';

const RESPONSE_TIMEOUT_MS = 30000;

/** An error that the server has sent, or a lost connection (status 0). */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Sends a request. A `json` becomes the body. Without a `signal`, the server has 30 s to respond.
 * Throws a `Failure` if the connection is lost.
 */
export async function send(path, { json, headers = {}, signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS), ...options } = {}) {
  const sent = { ...headers };
  if (currentKey()) sent.Authorization = `Bearer ${currentKey()}`;
  if (json !== undefined) sent['Content-Type'] = 'application/json';
  const body = json === undefined ? options.body : JSON.stringify(json);
  try {
    return await fetch(path, { cache: 'no-store', ...options, headers: sent, body, signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Failure(0, 'The server does not respond.');
  }
}

/** Sends a request and returns its response, which is JSON. Throws a `Failure` for an error. */
export async function ask(path, options) {
  const response = await send(path, options);
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Returns the error in a response. */
export async function failure(response) {
  const { error } = await response.json().catch(() => ({}));
  return new Failure(response.status, error ?? `The status of the response is ${response.status}.`);
}

/** Yields the events of a response as `{ event, data }`, where `data` is parsed JSON. */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let from = Math.max(rest.length - 1, 0);
      rest += value;
      for (let end = rest.indexOf('\n\n', from); end >= 0; end = rest.indexOf('\n\n', from)) {
        const parsed = parseEvent(rest.slice(0, end));
        rest = rest.slice(end + 2);
        from = 0;
        if (parsed) yield parsed;
      }
    }
  } finally {
    // Cancelling fails if the connection is lost.
    reader.cancel().catch(() => {});
  }
}

function parseEvent(text) {
  let event = 'message';
  let data = null;
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) event = line.slice('event: '.length);
    else if (line.startsWith('data: ')) data = line.slice('data: '.length);
  }
  return data === null ? null : { event, data: JSON.parse(data) };
}
