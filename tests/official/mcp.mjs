// Calls the tools of Firecrawl's MCP server for a test, with the MCP client that hosts use.
//
// The argument is the description of the server as in a host's configuration: {command, args, env}.
// The first line of output is JSON with the server's version. Each input line is one call,
// {call, key, id, body}, and `key` is passed to the server in FIRECRAWL_API_KEY. Each further output
// line is the result of a call: {returned} with the JSON that a model reads, or {raised} with the text
// of an error.

import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const { command, args, env } = JSON.parse(process.argv[2]);

// One server for each key, because a server reads its key at startup.
const servers = new Map();

async function connect(key) {
  const given = key === undefined ? {} : { FIRECRAWL_API_KEY: key };
  const transport = new StdioClientTransport({
    command,
    args,
    env: { ...process.env, ...env, ...given },
    stderr: 'ignore',
  });
  const client = new Client({ name: 'hearth-tests', version: '1' });
  await client.connect(transport);
  // The client checks the results of tools that it has listed against their schemas.
  const { tools } = await client.listTools();
  return { client, tools: tools.map(({ name }) => name) };
}

function server(key) {
  if (!servers.has(key)) servers.set(key, connect(key));
  return servers.get(key);
}

const CALLS = {
  scrape: ({ body }) => ['firecrawl_scrape', body],
  interact: ({ id, body }) => ['firecrawl_interact', { scrapeId: id, ...body }],
  open: ({ body }) => ['firecrawl_interact', body],
  stop: ({ id }) => ['firecrawl_interact_stop', { scrapeId: id }],
};

async function outcome({ call, key, ...rest }) {
  try {
    const { client, tools } = await server(key);
    if (call === 'tools') return { returned: { tools } };
    const [name, input] = CALLS[call](rest);
    const { isError, content, structuredContent } = await client.callTool({ name, arguments: input });
    const [{ text }] = content;
    if (isError) return { raised: { message: text } };
    const returned = JSON.parse(text);
    // The structured content has only the properties of the tool's schema.
    for (const [name, value] of Object.entries(structuredContent)) {
      if (!isDeepStrictEqual(value, returned[name])) throw new Error(`two values of ${name}: ${text}`);
    }
    return { returned };
  } catch ({ name, message, code }) {
    return { raised: { name, message, code } };
  }
}

const { client } = await server(env.FIRECRAWL_API_KEY);
console.log(JSON.stringify({ version: client.getServerVersion().version }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await outcome(JSON.parse(line))));
}
for (const { client } of await Promise.all(servers.values())) await client.close();
