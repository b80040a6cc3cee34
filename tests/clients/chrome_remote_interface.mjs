// chrome-remote-interface as a third-party client of a session: the raw protocol, without helpers.

import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';

import CDP from 'chrome-remote-interface';

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

const manifest = new URL('node_modules/chrome-remote-interface/package.json', import.meta.url);
const { version } = JSON.parse(await readFile(manifest));

// The client requests /json/version and similar paths from a host and a port. Hearth serves them
// below the path of cdpUrl.
const { hostname: host, port, pathname, search } = new URL(cdpUrl);
const alterPath = (path) => (path.startsWith(pathname) ? path : `${pathname}${path}${search}`);
const options = { host, port, alterPath, local: true };

/** A connection to the browser, and one to the page that the steps use. */
let browser, page, pageId;

async function connect() {
  const { webSocketDebuggerUrl } = await CDP.Version(options);
  browser = await CDP({ ...options, target: webSocketDebuggerUrl });
  const urls = (await CDP.List(options)).map(({ url }) => url);
  assert.ok(urls.includes(`${site}/title/first`), `the session's page is not among ${urls}`);
}

async function connectTo(targetId) {
  const target = await CDP({ ...options, target: targetId });
  await target.Page.enable();
  return target;
}

async function goto(target, url) {
  const loaded = target.Page.loadEventFired();
  await target.Page.navigate({ url });
  await loaded;
}

async function evaluate(target, expression, sessionId) {
  const params = { expression, awaitPromise: true, returnByValue: true };
  const { result, exceptionDetails } = await target.Runtime.evaluate(params, sessionId);
  assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
  return result.value;
}

/** Returns the title of a document once it is loaded. */
function titleOf(target, sessionId) {
  const complete = "document.readyState === 'complete' || new Promise((resolve) => (onload = resolve))";
  return evaluate(target, `Promise.resolve(${complete}).then(() => document.title)`, sessionId);
}

async function click(selector) {
  const box = await evaluate(page, `document.querySelector('${selector}').getBoundingClientRect().toJSON()`);
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, button: 'left', clickCount: 1 };
  await page.Input.dispatchMouseEvent({ type: 'mousePressed', ...at });
  await page.Input.dispatchMouseEvent({ type: 'mouseReleased', ...at });
}

/** Resolves with the text that `/upload` shows once it has read a file. */
function fileRead() {
  return evaluate(page, "out.textContent || new Promise((resolve) => addEventListener('read', () => resolve(out.textContent)))");
}

await run(version, {
  async connect() {
    await connect();
    ({ targetId: pageId } = await browser.Target.createTarget({ url: 'about:blank' }));
    page = await connectTo(pageId);
  },
  async navigate() {
    await goto(page, `${site}/title/${name}`);
    assert.equal(await evaluate(page, 'document.title'), name);
  },
  async click() {
    await goto(page, `${site}/button`);
    await click('button');
    assert.equal(await evaluate(page, 'document.title'), 'pressed');
  },
  async fill() {
    await goto(page, `${site}/form`);
    await click('#name');
    await page.Input.insertText({ text: `I am ${name}` });
    await click('button');
    assert.equal(await evaluate(page, 'out.textContent'), `I am ${name}`);
  },
  async screenshot() {
    const { data } = await page.Page.captureScreenshot();
    assertScreenshot(Buffer.from(data, 'base64'));
  },
  async route() {
    await page.Fetch.enable({ patterns: [{ urlPattern: '*/title/original' }] });
    const paused = page.Fetch.requestPaused().then(({ requestId }) => {
      const body = Buffer.from('<title>replaced</title>').toString('base64');
      return page.Fetch.fulfillRequest({ requestId, responseCode: 200, body });
    });
    await Promise.all([paused, goto(page, `${site}/title/original`)]);
    assert.equal(await evaluate(page, 'document.title'), 'replaced');
    await page.Fetch.disable();
  },
  async popup() {
    await goto(page, `${site}/popup`);
    await browser.Target.setDiscoverTargets({ discover: true });
    const opened = new Promise((resolve) => {
      browser.Target.targetInfoChanged(({ targetInfo: { openerId, targetId, url } }) => {
        if (openerId === pageId && url.endsWith('/title/popped')) resolve(targetId);
      });
    });
    await click('a');
    const targetId = await opened;
    const popup = await connectTo(targetId);
    assert.equal(await titleOf(popup), 'popped');
    await browser.Target.closeTarget({ targetId });
  },
  async 'cross-site iframe'() {
    // Chromium may close a frame's CDP session and open another one while the frame moves to a
    // separate process.
    const frames = [];
    let come = () => {};
    page.Target.attachedToTarget((frame) => {
      frames.push(frame);
      come();
    });
    await page.Target.setAutoAttach({ autoAttach: true, waitForDebuggerOnStart: false, flatten: true });
    await goto(page, `${site}/frame`);
    let title;
    for (let at = 0; !title; at++) {
      if (at === frames.length) await new Promise((resolve) => (come = resolve));
      assert.equal(frames[at].targetInfo.type, 'iframe');
      title = await titleOf(page, frames[at].sessionId).catch(() => '');
    }
    assert.equal(title, 'inside');
    await page.Target.setAutoAttach({ autoAttach: false, waitForDebuggerOnStart: false, flatten: true });
  },
  async download() {
    await browser.Browser.setDownloadBehavior({
      behavior: 'allow',
      downloadPath: process.cwd(),
      eventsEnabled: true,
    });
    const finished = new Promise((resolve) => {
      let mine;
      browser.Browser.downloadWillBegin(({ guid, suggestedFilename }) => {
        if (suggestedFilename === `${name}.bin`) mine = guid;
      });
      browser.Browser.downloadProgress(({ guid, state }) => {
        if (guid === mine && state !== 'inProgress') resolve(state);
      });
    });
    await goto(page, `${site}/downloads/${name}`);
    await click('a');
    assert.equal(await finished, 'completed');
  },
  async 'upload of 40 MB'() {
    await goto(page, `${site}/upload`);
    const read = fileRead();
    const { result } = await page.Runtime.evaluate({ expression: 'file' });
    await page.DOM.setFileInputFiles({ files: [`${dir}/upload.bin`], objectId: result.objectId });
    assert.equal(await read, uploaded('upload.bin', UPLOAD_BYTES));
  },
  async dialog() {
    await goto(page, `${site}/dialog`);
    const opening = page.Page.javascriptDialogOpening().then(async ({ message }) => {
      await page.Page.handleJavaScriptDialog({ accept: true });
      return message;
    });
    const [message] = await Promise.all([opening, click('button')]);
    assert.deepEqual([message, await evaluate(page, 'out.textContent')], ['Shall we?', 'accepted']);
  },
  async 'file chooser'() {
    await goto(page, `${site}/upload`);
    const read = fileRead();
    await page.Page.setInterceptFileChooserDialog({ enabled: true });
    const opened = page.Page.fileChooserOpened();
    await click('#file');
    const { backendNodeId } = await opened;
    await page.DOM.setFileInputFiles({ files: [`${dir}/note.txt`], backendNodeId });
    assert.equal(await read, uploaded('note.txt', 5));
  },
  async 'new context'() {
    await evaluate(page, `document.cookie = '${name}=outside'`);
    const { browserContextId } = await browser.Target.createBrowserContext();
    const { targetId } = await browser.Target.createTarget({ url: 'about:blank', browserContextId });
    const other = await connectTo(targetId);
    await goto(other, `${site}/title/other`);
    assert.equal(await evaluate(other, 'document.cookie'), '');
    await evaluate(other, "document.cookie = 'inside=1'");
    assert.ok(!(await evaluate(page, 'document.cookie')).includes('inside'));
  },
  async tracing() {
    await takingTurns(async () => {
      await browser.Tracing.start({ transferMode: 'ReturnAsStream' });
      await goto(page, `${site}/title/traced`);
      const complete = browser.Tracing.tracingComplete();
      await browser.Tracing.end();
      const { stream } = await complete;
      let trace = '';
      for (let part = { eof: false }; !part.eof; trace += part.data) {
        part = await browser.IO.read({ handle: stream });
      }
      assertChromiumTrace(trace);
    });
  },
  async close() {
    await browser.Target.closeTarget({ targetId: pageId });
    await browser.Browser.close();
    await connect();
  },
  async disconnect() {
    await browser.close();
    await connect();
  },
});
