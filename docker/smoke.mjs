// Checks a running server from outside, with Firecrawl's official client and Playwright.
// scripts/image-test runs it. The arguments name the checks. FIRECRAWL_API_URL and
// FIRECRAWL_API_KEY select the server.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../tests/official/package.json', import.meta.url));
const { Firecrawl } = require('firecrawl');
const { chromium } = require(new URL('../runtime/.installed/playwright-core', import.meta.url).pathname);

const origin = process.env.FIRECRAWL_API_URL;
const key = process.env.FIRECRAWL_API_KEY;
const firecrawl = new Firecrawl({ apiUrl: origin, apiKey: key });

async function run(session, language, code, timeout = 60) {
  const answer = await firecrawl.browserExecute(session.id, { language, code, timeout });
  assert.equal(answer.exitCode, 0, `${language}: ${answer.stderr || answer.error}`);
  return answer.result;
}

async function inSession(work, options = {}) {
  const session = await firecrawl.browser({ ttl: 300, ...options });
  const done = await work(session);
  await firecrawl.deleteBrowser(session.id);
  return done;
}

const api = (path, options = {}) =>
  fetch(origin + path, { ...options, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...options.headers } });

// Code for the node kernel. Its value is the font families with which the browser renders texts.
const FONTS = `
const devtools = await page.context().newCDPSession(page);
await devtools.send('DOM.enable');
await devtools.send('CSS.enable');
const faces = async (attributes, text) => {
  await page.setContent('<p id=p ' + attributes + '>' + text + '</p>');
  const { root } = await devtools.send('DOM.getDocument');
  const { nodeId } = await devtools.send('DOM.querySelector', { nodeId: root.nodeId, selector: '#p' });
  return (await devtools.send('CSS.getPlatformFontsForNode', { nodeId })).fonts.map((font) => font.familyName).join('+');
};
JSON.stringify([
  await faces('', 'Latin'), await faces('style="font-family: monospace"', 'Latin'), await faces('lang=ja', '漢字かな'),
  await faces('lang=zh-CN style="font-family: serif"', '汉字'), await faces('lang=ko', '한글'), await faces('', '😀'), await faces('', 'مرحبا')])`;

const checks = {
  // Checks all languages, fonts, screenshots, WebGL, and an external client.
  async all() {
    await inSession(async (session) => {
      assert.equal(await run(session, 'node', 'await page.goto("data:text/html,<title>Warm</title><h1>Warm</h1>"); await page.title()'), 'Warm');
      assert.equal(await run(session, 'python', 'print(await page.title())'), 'Warm');
      assert.equal(await run(session, 'bash', 'agent-browser get title && agent-browser scrape'), 'Warm\n# Warm');
      assert.equal(await run(session, 'bash', `python3 -m venv v && v/bin/python -c 'print(6 * 7)' && echo '{"a": 1}' | jq .a && ps | wc -l >/dev/null && node -p 1+1`), '42\n1\n2');
      assert.deepEqual(JSON.parse(await run(session, 'node', FONTS)), [
        'Liberation Serif', 'Liberation Mono', 'Noto Sans CJK JP', 'Noto Sans CJK SC', 'Noto Sans CJK KR', 'Noto Color Emoji', 'DejaVu Sans']);
      // Missing glyphs would all be rendered as the same box.
      const pictures = `const shot = async (text) => { await page.setContent('<p style="font-size: 60px">' + text + '</p>'); return (await page.screenshot()).toString('base64'); };
        const shots = await Promise.all([]); for (const text of ['漢', '字', '\\uf8ff', '\\uf8fe']) shots.push(await shot(text)); [shots[0] !== shots[1], shots[0] !== shots[2]].join()`;
      assert.equal(await run(session, 'node', pictures), 'true,true');
      const drawn = `await page.setContent('<canvas id=c></canvas>'); await page.evaluate(() => { const gl = document.getElementById('c').getContext('webgl2'); gl.clearColor(1, 0, 0, 1); gl.clear(gl.COLOR_BUFFER_BIT); const p = new Uint8Array(4); gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, p); return p.join(); })`;
      assert.equal(await run(session, 'node', drawn), '255,0,0,255');
      assert.equal(await run(session, 'node', '(await page.pdf()).subarray(0, 4).toString()'), '%PDF');
      for (const [language, code] of [
        ['node', 'await page.context().tracing.start({ screenshots: true, snapshots: true }); await page.setContent("x"); await page.context().tracing.stop({ path: "t.zip" }); require("fs").statSync("t.zip").size > 500'],
        ['python', 'await page.context.tracing.start(screenshots=True, snapshots=True)\nawait page.context.tracing.stop(path="p.zip")\nimport os\nprint(str(os.path.getsize("p.zip") > 100).lower())']]) {
        assert.equal(await run(session, language, code), 'true');
      }
      const browser = await chromium.connectOverCDP(session.cdpUrl);
      const page = browser.contexts()[0].pages()[0];
      await page.goto('data:text/html,<title>Elsewhere</title>');
      assert.equal(await page.title(), 'Elsewhere');
      await browser.close();
      assert.match(session.cdpUrl, new RegExp(`^${origin.replace('http', 'ws')}/cdp/`));
      const view = await fetch(session.liveViewUrl);
      assert.equal(view.status, 200);
    });
    const unauthorized = await fetch(`${origin}/v2/interact`, { method: 'POST' });
    assert.equal(unauthorized.status, 401);
  },

  // Runs code that leaves processes behind in various ways.
  async daemons() {
    await inSession(async (session) => {
      await run(session, 'bash', 'for i in 1 2 3 4 5; do (setsid nohup sleep 600 >/dev/null 2>&1 &); done; echo done');
      await run(session, 'node', 'require("child_process").spawn("sleep", ["600"], { detached: true }).unref(); 1');
      await run(session, 'python', 'import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\nos.wait()\n1');
      await run(session, 'node', 'const other = await page.context().newPage(); await other.goto("about:blank"); await other.close(); 1');
    });
  },

  // Saves a profile with a cookie.
  async save() {
    const profile = { name: 'kept' };
    await inSession((session) => run(session, 'node',
      'await page.context().addCookies([{ name: "kept", value: "yes", domain: "example.com", path: "/", expires: 4102444800 }]); 1'), { profile });
  },

  // Leaves a session with running code and with directories that others cannot read. The caller
  // then kills the server.
  async leave() {
    const session = await firecrawl.browser({ ttl: 300 });
    await run(session, 'bash', 'mkdir -p a/b && touch a/b/c && chmod 000 a/b && mkdir -m 1777 shared && touch shared/f; echo closed');
    api(`/v2/interact/${session.id}/execute`, { method: 'POST', body: JSON.stringify({ language: 'bash', code: 'setsid sleep 600 & sleep 600', timeout: 300 }) }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1000));
  },

  // Checks that the saved profile is restored.
  async load() {
    const profile = { name: 'kept' };
    const cookies = await inSession((session) => run(session, 'node', 'JSON.stringify((await page.context().cookies("https://example.com")).map((cookie) => cookie.value))'), { profile });
    assert.deepEqual(JSON.parse(cookies), ['yes']);
  },

  // Checks that the proxy forwards to Firecrawl, including paths that share only a prefix with
  // those of Hearth.
  async front() {
    const host = new URL(origin).host;
    for (const path of ['/v2/scrape/1', '/v1/crawl/1', '/', '/v2/browsers', '/health']) {
      assert.equal(await (await fetch(origin + path)).text(), `mock ${path} ${host} http`);
    }
    const large = await fetch(`${origin}/v2/crawl`, { method: 'POST', body: Buffer.alloc(12_000_000) });
    assert.equal(large.status, 200);
    // Hearth passes a scrape on.
    const scrape = await api('/v2/scrape', { method: 'POST', body: JSON.stringify({ url: 'https://example.com' }) });
    assert.match(await scrape.text(), /^mock \/v2\/scrape /);
    for (const path of ['/v2/browser', '/v2/interact']) {
      assert.equal((await (await api(path)).json()).success, true);
    }
  },
};

for (const check of process.argv.slice(2)) {
  const began = Date.now();
  await checks[check]();
  console.log(`${check}: passed (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}
process.exit(0);
