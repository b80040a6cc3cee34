// How each program here walks through its steps and says what came of them. Knows no client.
//
// A program is called with the session's cdpUrl, the address of the tests' web site, a folder of the session that
// holds `upload.bin` and `note.txt`, and a name of its own. Its current folder is its own too. It prints one line
// of JSON for the client's version and one for each step: {step, ms, ok, note} or {step, ms, offered: false,
// note}.

import { strict as assert } from 'node:assert';

export const [cdpUrl, site, folder, name] = process.argv.slice(2);

/** The size of `upload.bin`, and of the file that `/download/NAME` serves. */
export const UPLOAD_BYTES = 40_000_000;
export const DOWNLOAD_BYTES = 3_000_000;

export const STEP_TIMEOUT_MS = 60_000;

class NotOffered extends Error {}

/** Ends a step that the client has no notion of. */
export function notOffered(why) {
  throw new NotOffered(why);
}

/** What `/upload` shows when it has read a file. */
export function uploaded(file, bytes) {
  return `${file}: ${bytes} bytes`;
}

/** Asserts that these bytes are a PNG of the size that pages of a session have. */
export function assertScreenshot(bytes) {
  const png = Buffer.from(bytes);
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1280, 720]);
}

/** Asserts that this is a recording by Chromium itself: JSON with events in it. */
export function assertChromiumTrace(text) {
  assert.ok(JSON.parse(text).traceEvents.length > 0);
}

/** Does something that a browser does for one client at a time: Chromium refuses a second trace. */
export async function takingTurns(action) {
  const turn = await fetch(`${site}/turn`);
  try {
    await action();
  } finally {
    await turn.body.cancel();
  }
}

/** Walks through the steps in their order. What a step returns is a note on it; what it throws is its failure. */
export async function run(version, steps) {
  console.log(JSON.stringify({ version }));
  for (const [step, action] of Object.entries(steps)) {
    const began = performance.now();
    const came = await outcome(action);
    console.log(JSON.stringify({ step, ms: Math.round(performance.now() - began), ...came }));
  }
  // Some clients keep the process alive with what they have left open, which is the point of their last step.
  process.exit(0);
}

async function outcome(action) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${STEP_TIMEOUT_MS} ms`)), STEP_TIMEOUT_MS);
  });
  try {
    return { ok: true, note: (await Promise.race([action(), late])) ?? '' };
  } catch (error) {
    if (error instanceof NotOffered) return { offered: false, note: error.message };
    return { ok: false, note: error.stack ?? String(error) };
  } finally {
    clearTimeout(timer);
  }
}
