// Runs calls of Firecrawl's tools for the AI SDK for a test, in a loop with a scripted model.
//
// Arguments and lines are those of sdk.mjs. The result of a call is what the model gets to read:
// {returned}, or {raised} if the tool threw. `conversation` and `start` use one tool object for
// several calls and return its properties with the results.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { generateText, stepCountIs } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { interact, scrape } from 'firecrawl-aisdk';

const [apiUrl] = process.argv.slice(2);

const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
const generated = (content, unified) => ({
  content: [content],
  finishReason: { unified, raw: undefined },
  usage,
  warnings: [],
});

// Calls the tool with each input in turn, and returns the results in the model's last prompt.
async function converse(tool, inputs) {
  const calls = inputs.map((input, index) =>
    generated(
      { type: 'tool-call', toolCallId: `call-${index}`, toolName: 'tool', input: JSON.stringify(input) },
      'tool-calls',
    ),
  );
  const model = new MockLanguageModelV3({
    doGenerate: [...calls, generated({ type: 'text', text: 'Done.' }, 'stop')],
  });
  const { text } = await generateText({
    model,
    tools: { tool },
    prompt: 'Use the tool.',
    stopWhen: stepCountIs(inputs.length + 1),
  });
  if (text !== 'Done.') throw new Error(`the loop ended early: ${text}`);
  const results = model.doGenerateCalls.at(-1).prompt.filter(({ role }) => role === 'tool');
  return results.flatMap(({ content }) => content.map(({ output }) => output));
}

async function converseOnce(tool, input) {
  const [{ type, value }] = await converse(tool, [input]);
  if (type !== 'json') throw new Error(value);
  return value;
}

const properties = ({ scrapeId, currentUrl, liveViewUrl, interactiveLiveViewUrl }) => ({
  scrapeId,
  currentUrl,
  liveViewUrl,
  interactiveLiveViewUrl,
});

const CALLS = {
  scrape: (options, { body }) => converseOnce(scrape(options), body),
  interact: (options, { id, body }) => converseOnce(interact({ ...options, scrapeId: id }), body),
  stop: async (options, { id }) => {
    const tool = interact({ ...options, scrapeId: id });
    await tool.close();
    return properties(tool);
  },
  conversation: async (options, { body }) => {
    const tool = interact({ ...options, scrape: body.scrape });
    const results = await converse(tool, body.inputs);
    return { results: results.map(({ value }) => value), ...properties(tool) };
  },
  start: async (options, { body }) => {
    const tool = interact(options);
    return { started: await tool.start(body.url), ...properties(tool) };
  },
};

async function outcome({ call, key, ...rest }) {
  try {
    return { returned: await CALLS[call]({ apiUrl, apiKey: key }, rest) };
  } catch ({ name, message }) {
    return { raised: { name, message } };
  }
}

const manifest = new URL('node_modules/firecrawl-aisdk/package.json', import.meta.url);
console.log(JSON.stringify({ version: JSON.parse(readFileSync(manifest)).version }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await outcome(JSON.parse(line))));
}
// The tools stop their sessions when the program has nothing left to do. The tests stop the sessions
// themselves.
process.exit();
