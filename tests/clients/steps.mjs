// Runs the steps of any client and reports their outcome.
//
// A program has four arguments: the session's cdpUrl, the address of the test site, a dir of the
// session, and the client's name. The dir contains `upload.bin` and `note.txt`. The working dir is
// private. The program prints one line of JSON for the client's version and one for each step:
// {step, ms, ok, note} or {step, ms, offered: false, note}.

import { strict as assert } from 'node:assert';

export const [cdpUrl, site, dir, name] = process.argv.slice(2);

/** Sizes of `upload.bin` and of the file that `/download/NAME` serves. */
export const UPLOAD_BYTES = 40_000_000;
export const DOWNLOAD_BYTES = 3_000_000;

export const STEP_TIMEOUT_MS = 60_000;

class NotOffered extends Error {}

/** Ends a step that the client does not offer. */
export function notOffered(why) {
  throw new NotOffered(why);
}

/** Returns the text that `/upload` shows when it has read a file. */
export function uploaded(file, bytes) {
  return `${file}: ${bytes} bytes`;
}

/** Asserts that these bytes are a PNG with the size of a session's pages. */
export function assertScreenshot(bytes) {
  const png = Buffer.from(bytes);
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1280, 720]);
}

/** Asserts that this is a Chromium trace: JSON with events in it. */
export function assertChromiumTrace(text) {
  assert.ok(JSON.parse(text).traceEvents.length > 0);
}

/** Runs an action for one client at a time, because Chromium rejects a second trace. */
export async function takingTurns(action) {
  const turn = await fetch(`${site}/turn`);
  try {
    await action();
  } finally {
    await turn.body.cancel();
  }
}

/** Runs the steps in order. A step returns a note or nothing, and throws if it fails. */
export async function run(version, steps) {
  console.log(JSON.stringify({ version }));
  for (const [step, action] of Object.entries(steps)) {
    const began = performance.now();
    const came = await outcome(action);
    console.log(JSON.stringify({ step, ms: Math.round(performance.now() - began), ...came }));
  }
  // Some clients leave connections open in their last step, which would keep the process alive.
  process.exit(0);
}

async function outcome(action) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${STEP_TIMEOUT_MS} ms`)), STEP_TIMEOUT_MS);
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
