// Runs calls of Firecrawl's JavaScript SDK for a test.
//
// The argument is the server's origin. The first line of output is JSON with the client's version.
// Each input line is one call, {call, key, id, body}; `key` is absent for a client without a key.
// Each further output line is the result of a call: {returned}, or {raised} with the properties of
// the error.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { Firecrawl } from 'firecrawl';

const [apiUrl] = process.argv.slice(2);

const CALLS = {
  create: (client, { body }) => client.browser(body),
  execute: (client, { id, body }) => client.browserExecute(id, body),
  list: (client, { body }) => client.listBrowsers(body),
  delete: (client, { id }) => client.deleteBrowser(id),
  scrape: (client, { body: { url, ...options } }) => client.scrape(url, options),
  interact: (client, { id, body }) => client.interact(id, body),
  stop: (client, { id }) => client.stopInteraction(id),
};

async function outcome({ call, key, ...rest }) {
  try {
    return { returned: await CALLS[call](new Firecrawl({ apiUrl, apiKey: key }), rest) };
  } catch (error) {
    const { name, message, status, code, details } = error;
    return { raised: { name, message, status, code, details } };
  }
}

const { version } = JSON.parse(readFileSync(new URL('node_modules/firecrawl/package.json', import.meta.url)));
console.log(JSON.stringify({ version }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await outcome(JSON.parse(line))));
}
