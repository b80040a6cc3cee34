// The agent-browser CLI as a third-party client of a session. Its daemon keeps the connection
// between commands.

import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import {
  UPLOAD_BYTES,
  assertChromiumTrace,
  assertScreenshot,
  cdpUrl,
  dir,
  name,
  notOffered,
  site,
  takingTurns,
  uploaded,
  run,
} from './steps.mjs';

const program = new URL('../../runtime/.installed/bin/agent-browser', import.meta.url).pathname;

/** Runs one command and returns its output. Without --pin-tab, it follows tabs of other clients. */
async function agent(...command) {
  const { stdout } = await promisify(execFile)(program, ['--cdp', cdpUrl, '--pin-tab', ...command]).catch((error) => {
    throw new Error(`agent-browser ${command.join(' ')}: ${error.stdout}${error.stderr}`);
  });
  return stdout.trim();
}

const version = (await promisify(execFile)(program, ['--version'])).stdout.trim().split(' ').pop();

async function connect() {
  // agent-browser attaches to every tab, and fails if another client closes one of them meanwhile.
  const tabs = await agent('tab', 'list').catch(() => agent('tab', 'list'));
  assert.ok(tabs.includes(`${site}/title/first`), `the session's page is not among ${tabs}`);
}

await run(version, {
  async connect() {
    // With --pin-tab, agent-browser opens a separate tab.
    await connect();
  },
  async navigate() {
    await agent('open', `${site}/title/${name}`);
    assert.equal(await agent('get', 'title'), name);
  },
  async click() {
    await agent('open', `${site}/button`);
    await agent('find', 'role', 'button', 'click', '--name', 'Press');
    assert.equal(await agent('get', 'title'), 'pressed');
  },
  async fill() {
    await agent('open', `${site}/form`);
    await agent('fill', '#name', `I am ${name}`);
    await agent('click', 'button');
    assert.equal(await agent('get', 'text', '#out'), `I am ${name}`);
  },
  async screenshot() {
    await agent('screenshot', `${process.cwd()}/page.png`);
    assertScreenshot(await readFile('page.png'));
  },
  async route() {
    await agent('network', 'route', '**/title/original', '--body', '<title>replaced</title>');
    await agent('open', `${site}/title/original`);
    assert.match(await agent('get', 'html', 'html'), /replaced/);
    await agent('network', 'unroute');
  },
  async popup() {
    await agent('open', `${site}/popup`);
    await agent('click', 'a');
    const tabs = await agent('tab', 'list');
    const [, own] = /→ \[(t\d+)\]/.exec(tabs);
    const [, popup] = /\[(t\d+)\] .*\/title\/popped/.exec(tabs);
    await agent('tab', popup);
    assert.equal(await agent('get', 'title'), 'popped');
    await agent('tab', 'close', popup);
    await agent('tab', own);
  },
  async 'cross-site iframe'() {
    await agent('open', `${site}/frame`);
    const [, ref] = /heading "inside" .*ref=(e\d+)/.exec(await agent('snapshot'));
    assert.equal(await agent('get', 'text', `@${ref}`), 'inside');
    return 'through the refs of `snapshot`; its `frame` does not find cross-site frames';
  },
  async download() {
    await agent('open', `${site}/downloads/${name}`);
    const path = `${process.cwd()}/${name}.bin`;
    await assert.rejects(agent('download', 'a', path), /Downloaded file not found at expected path \(GUID: .+\)/);
    return 'the download is saved in the session; `download` then looks for it on the machine of the client';
  },
  async 'upload of 40 MB'() {
    await agent('open', `${site}/upload`);
    await agent('upload', '#file', `${dir}/upload.bin`);
    await agent('wait', '--fn', 'out.textContent');
    assert.equal(await agent('get', 'text', '#out'), uploaded('upload.bin', UPLOAD_BYTES));
  },
  async dialog() {
    await agent('open', `${site}/dialog`);
    await agent('click', 'button');
    assert.match(await agent('dialog', 'status'), /Shall we\?/);
    await agent('dialog', 'accept');
    assert.equal(await agent('get', 'text', '#out'), 'accepted');
  },
  async 'file chooser'() {
    notOffered('files are set on the element, with `upload`');
  },
  async 'new context'() {
    notOffered('it uses the existing context');
  },
  async tracing() {
    await takingTurns(async () => {
      await agent('trace', 'start');
      await agent('open', `${site}/title/traced`);
      await agent('trace', 'stop', `${process.cwd()}/trace.json`);
    });
    assertChromiumTrace(await readFile('trace.json', 'utf8'));
  },
  async close() {
    await agent('tab', 'close');
    await agent('close');
    await connect();
    await agent('close');
  },
  async disconnect() {
    notOffered('its `close` disconnects');
  },
});
