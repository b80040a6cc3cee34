// Firecrawl's SDK for JavaScript, called as a test says.
//
// Called with the server's origin. Prints a line of JSON with the client's version. From then on each line that it
// reads is one call, {call, key, id, body}, `key` absent for a client without one; and each line that it prints is what
// came of it: {returned}, or {raised} with what a program could make of the error.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { Firecrawl } from 'firecrawl';

const [apiUrl] = process.argv.slice(2);

const CALLS = {
  create: (client, { body }) => client.browser(body),
  execute: (client, { id, body }) => client.browserExecute(id, body),
  list: (client, { body }) => client.listBrowsers(body),
  delete: (client, { id }) => client.deleteBrowser(id),
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
