// A third-party client that a test drives: it connects to a session, runs each line of its input, and
// leaves at the end of the input.
//
// It has two arguments: the library (`playwright` or `puppeteer`) and the session's cdpUrl. A line is
// the JSON string of a function body with the arguments `browser` and `page`, the first page of the
// default context. The answer is one line of JSON: {value} or {error}.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [library, cdpUrl] = process.argv.slice(2);
const require = createRequire(import.meta.url);

const open = {
  async playwright() {
    const { chromium } = require('../../runtime/.installed/playwright-core');
    const browser = await chromium.connectOverCDP(cdpUrl);
    return [browser, browser.contexts()[0].pages()[0]];
  },
  async puppeteer() {
    const browser = await require('puppeteer-core').connect({ browserWSEndpoint: cdpUrl });
    return [browser, (await browser.pages())[0]];
  },
};

const AsyncFunction = (async () => {}).constructor;

async function answer(body) {
  try {
    return { value: (await new AsyncFunction('browser', 'page', body)(browser, page)) ?? null };
  } catch (error) {
    return { error: `${error?.stack ?? error}` };
  }
}

const [browser, page] = await open[library]();
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
// Cuts the connection off.
process.exit(0);
