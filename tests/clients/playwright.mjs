// Playwright for node as a third-party client of a session.

import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import {
  STEP_TIMEOUT_MS,
  UPLOAD_BYTES,
  assertScreenshot,
  cdpUrl,
  name,
  notOffered,
  site,
  uploaded,
  run,
} from './steps.mjs';

const core = createRequire(import.meta.url)('../../runtime/.installed/playwright-core');
const { version } = createRequire(import.meta.url)('../../runtime/.installed/playwright-core/package.json');

let browser, page;
const out = () => page.locator('#out').textContent();

async function connect() {
  browser = await core.chromium.connectOverCDP(cdpUrl);
  // The default of 30 s is too short for 40 MB in one message on a busy machine.
  browser.contexts()[0].setDefaultTimeout(STEP_TIMEOUT_MS);
  const urls = browser.contexts()[0].pages().map((each) => each.url());
  assert.ok(urls.includes(`${site}/title/first`), `the session's page is not among ${urls}`);
}

await run(version, {
  async connect() {
    await connect();
    page = await browser.contexts()[0].newPage();
  },
  async navigate() {
    await page.goto(`${site}/title/${name}`);
    assert.equal(await page.title(), name);
  },
  async click() {
    await page.goto(`${site}/button`);
    await page.getByRole('button', { name: 'Press' }).click();
    assert.equal(await page.title(), 'pressed');
  },
  async fill() {
    await page.goto(`${site}/form`);
    await page.getByLabel('Name').fill(`I am ${name}`);
    await page.getByText('Send').click();
    assert.equal(await out(), `I am ${name}`);
  },
  async screenshot() {
    assertScreenshot(await page.screenshot());
  },
  async route() {
    const body = '<title>replaced</title>';
    await page.route('**/title/original', (route) => route.fulfill({ contentType: 'text/html', body }));
    await page.goto(`${site}/title/original`);
    assert.equal(await page.title(), 'replaced');
    await page.unroute('**/title/original');
  },
  async popup() {
    await page.goto(`${site}/popup`);
    const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('a')]);
    await popup.waitForLoadState();
    assert.equal(await popup.title(), 'popped');
    await popup.close();
  },
  async 'cross-site iframe'() {
    await page.goto(`${site}/frame`);
    assert.equal(await page.frameLocator('iframe').locator('h1').textContent(), 'inside');
  },
  async download() {
    await page.goto(`${site}/downloads/${name}`);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a')]);
    assert.equal(download.suggestedFilename(), `${name}.bin`);
    assert.equal(await download.failure(), null);
  },
  async 'upload of 40 MB'() {
    // A local file, because Playwright sends the bytes.
    await writeFile('upload.bin', Buffer.alloc(UPLOAD_BYTES, name));
    await page.goto(`${site}/upload`);
    await page.setInputFiles('#file', 'upload.bin');
    await page.waitForFunction('out.textContent');
    assert.equal(await out(), uploaded('upload.bin', UPLOAD_BYTES));
  },
  async dialog() {
    await page.goto(`${site}/dialog`);
    const accepted = new Promise((resolve, reject) => {
      page.once('dialog', (dialog) => dialog.accept().then(() => resolve(dialog.message()), reject));
    });
    const [message] = await Promise.all([accepted, page.getByText('Ask').click()]);
    assert.deepEqual([message, await out()], ['Shall we?', 'accepted']);
  },
  async 'file chooser'() {
    await page.goto(`${site}/upload`);
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#file')]);
    await chooser.setFiles({ name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from(name) });
    await page.waitForFunction('out.textContent');
    assert.equal(await out(), uploaded('note.txt', name.length));
  },
  async 'new context'() {
    await page.evaluate(`document.cookie = '${name}=outside'`);
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(`${site}/title/other`);
    assert.equal(await other.evaluate('document.cookie'), '');
    await other.evaluate("document.cookie = 'inside=1'");
    assert.ok(!(await page.evaluate('document.cookie')).includes('inside'));
  },
  async tracing() {
    const { tracing } = browser.contexts()[0];
    await tracing.start({ screenshots: true, snapshots: true });
    await page.goto(`${site}/title/traced`);
    await tracing.stop({ path: 'trace.zip' });
    const trace = await readFile('trace.zip');
    assert.equal(trace.toString('latin1', 0, 2), 'PK');
    assert.ok(trace.length > 1000);
  },
  async close() {
    await page.close();
    await browser.close();
    await connect();
  },
  async disconnect() {
    notOffered('its `close` disconnects');
  },
});
