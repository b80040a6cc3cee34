// Puppeteer as a third-party client of a session.

import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';

import puppeteer from 'puppeteer-core';

import {
  UPLOAD_BYTES,
  assertChromiumTrace,
  assertScreenshot,
  cdpUrl,
  dir,
  name,
  site,
  takingTurns,
  uploaded,
  run,
} from './steps.mjs';

const { version } = JSON.parse(await readFile(new URL('node_modules/puppeteer-core/package.json', import.meta.url)));

let browser, page;
const out = () => page.$eval('#out', (element) => element.textContent);

async function connect() {
  // Without `defaultViewport: null`, Puppeteer resizes every page.
  browser = await puppeteer.connect({ browserWSEndpoint: cdpUrl, defaultViewport: null });
  // `pages()` would fail on a page that another client is opening.
  const urls = browser.targets().map((each) => each.url());
  assert.ok(urls.includes(`${site}/title/first`), `the session's page is not among ${urls}`);
}

await run(version, {
  async connect() {
    await connect();
    page = await browser.newPage();
  },
  async navigate() {
    await page.goto(`${site}/title/${name}`);
    assert.equal(await page.title(), name);
  },
  async click() {
    await page.goto(`${site}/button`);
    await page.click('button');
    assert.equal(await page.title(), 'pressed');
  },
  async fill() {
    await page.goto(`${site}/form`);
    await page.locator('#name').fill(`I am ${name}`);
    await page.locator('button').click();
    assert.equal(await out(), `I am ${name}`);
  },
  async screenshot() {
    assertScreenshot(await page.screenshot());
  },
  async route() {
    const body = '<title>replaced</title>';
    await page.setRequestInterception(true);
    page.once('request', (request) => request.respond({ contentType: 'text/html', body }));
    await page.goto(`${site}/title/original`);
    assert.equal(await page.title(), 'replaced');
    await page.setRequestInterception(false);
  },
  async popup() {
    await page.goto(`${site}/popup`);
    const opened = browser.waitForTarget((target) => target.opener() === page.target());
    await page.click('a');
    const popup = await (await opened).page();
    await popup.waitForFunction("document.title === 'popped'");
    await popup.close();
  },
  async 'cross-site iframe'() {
    await page.goto(`${site}/frame`);
    const frame = await page.waitForFrame((each) => each.url().endsWith('/title/inside'));
    assert.equal(await frame.$eval('h1', (element) => element.textContent), 'inside');
  },
  async download() {
    // Puppeteer has no event for downloads, but CDP has.
    const protocol = await browser.target().createCDPSession();
    await protocol.send('Browser.setDownloadBehavior', {
      behavior: 'allow',
      downloadPath: process.cwd(),
      eventsEnabled: true,
    });
    const finished = new Promise((resolve) => {
      let guid;
      protocol.on('Browser.downloadWillBegin', (event) => {
        if (event.suggestedFilename === `${name}.bin`) ({ guid } = event);
      });
      protocol.on('Browser.downloadProgress', (event) => {
        if (event.guid === guid && event.state !== 'inProgress') resolve(event.state);
      });
    });
    await page.goto(`${site}/downloads/${name}`);
    await page.click('a');
    assert.equal(await finished, 'completed');
    await protocol.detach();
  },
  async 'upload of 40 MB'() {
    await page.goto(`${site}/upload`);
    await (await page.$('#file')).uploadFile(`${dir}/upload.bin`);
    await page.waitForFunction('out.textContent');
    assert.equal(await out(), uploaded('upload.bin', UPLOAD_BYTES));
  },
  async dialog() {
    await page.goto(`${site}/dialog`);
    const accepted = new Promise((resolve, reject) => {
      page.once('dialog', (dialog) => dialog.accept().then(() => resolve(dialog.message()), reject));
    });
    const [message] = await Promise.all([accepted, page.click('button')]);
    assert.deepEqual([message, await out()], ['Shall we?', 'accepted']);
  },
  async 'file chooser'() {
    await page.goto(`${site}/upload`);
    const [chooser] = await Promise.all([page.waitForFileChooser(), page.click('#file')]);
    await chooser.accept([`${dir}/note.txt`]);
    await page.waitForFunction('out.textContent');
    assert.equal(await out(), uploaded('note.txt', 5));
  },
  async 'new context'() {
    await page.evaluate(`document.cookie = '${name}=outside'`);
    const context = await browser.createBrowserContext();
    const other = await context.newPage();
    await other.goto(`${site}/title/other`);
    assert.equal(await other.evaluate('document.cookie'), '');
    await other.evaluate("document.cookie = 'inside=1'");
    assert.ok(!(await page.evaluate('document.cookie')).includes('inside'));
  },
  async tracing() {
    await takingTurns(async () => {
      await page.tracing.start();
      await page.goto(`${site}/title/traced`);
      assertChromiumTrace(Buffer.from(await page.tracing.stop()).toString());
    });
  },
  async close() {
    await page.close();
    await browser.close();
    await connect();
  },
  async disconnect() {
    await browser.disconnect();
    await connect();
  },
});
