// Implements `agent-browser scrape`, which prints the page of the current tab as Markdown.
//
// Gets the current tab from agent-browser, and converts the page inside the browser over a separate
// connection. Arguments: the directory of installed programs, the position of the word `scrape`,
// and the words of the command line.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const HELP = `agent-browser scrape - Current page as Markdown

Usage: agent-browser scrape

Prints the current state of the page in the current tab: headings, links,
images, lists, tables, code and emphasis. Omits scripts, styles and the content
of frames. Makes addresses absolute. Prints nothing for an empty page. Does not
work as a step of agent-browser batch.

Global Options:
  --json                 {"success":true,"data":{"markdown":…,"title":…,"url":…},"error":null}
  --max-output <chars>   Maximum number of characters to print
  --content-boundaries   Wrap the Markdown in boundary markers
  --session <name>       Session name

Examples:
  agent-browser open example.com && agent-browser scrape
  agent-browser scrape > page.md
`;

/** Time limit for the page, in milliseconds. agent-browser's other commands have the same limit. */
const PAGE_BOUND_MS = Number(process.env.AGENT_BROWSER_DEFAULT_TIMEOUT) || 25_000;

const SILENT = `the page did not answer within ${PAGE_BOUND_MS} ms`;

/** A failure of the command. The message is one sentence for the user. */
class ScrapeError extends Error {}

/** Extracts the options for the output. Passes the others on to agent-browser. */
function readOptions(words) {
    const variable = (name) => ['1', 'true', 'yes'].includes((process.env[`AGENT_BROWSER_${name}`] ?? '').toLowerCase());
    const options = {
        json: variable('JSON'),
        contentBoundaries: variable('CONTENT_BOUNDARIES'),
        maxOutput: process.env.AGENT_BROWSER_MAX_OUTPUT,
        help: false,
        others: [],
    };
    const takeSwitch = () => (['true', 'false'].includes(words[0]) ? words.shift() === 'true' : true);
    words = [...words];
    while (words.length > 0) {
        const word = words.shift();
        if (word === '--help' || word === '-h') options.help = true;
        else if (word === '--json') options.json = takeSwitch();
        else if (word === '--content-boundaries') options.contentBoundaries = takeSwitch();
        else if (word === '--max-output') options.maxOutput = words.shift();
        else options.others.push(word);
    }
    return options;
}

/** Returns the current tab's target id and the CDP address of its browser. */
async function findTab(agentBrowser, options) {
    const words = [...options, '--json', 'batch', '--bail', 'tab list', 'get cdp-url'];
    const bounds = { maxBuffer: 64 << 20, timeout: PAGE_BOUND_MS };
    const { stdout, stderr, killed } = await promisify(execFile)(agentBrowser, words, bounds).catch((failed) => failed);
    if (killed) throw new ScrapeError(SILENT);
    let steps;
    try {
        steps = JSON.parse(stdout);
    } catch {
        throw new ScrapeError(stderr?.trim() || 'agent-browser did not report the current tab');
    }
    for (const step of [steps].flat()) {
        if (!step.success) throw new ScrapeError(step.error ?? 'agent-browser has no current tab');
    }
    const tab = steps[0].result.tabs.find((tab) => tab.active);
    if (!tab) throw new ScrapeError('there is no current tab: open a page first (agent-browser open <url>)');
    return { targetId: tab.targetId, endpoint: steps[1].result.cdpUrl };
}

/** Evaluates `source` in an isolated JavaScript world in the main frame of a tab. */
async function evaluateApart(endpoint, targetId, source) {
    const socket = new WebSocket(endpoint);
    const waiting = new Map();
    let broken;
    const ended = new Promise((_, reject) => (broken = reject));
    ended.catch(() => {});
    const ticking = setTimeout(() => broken(new ScrapeError(SILENT)), PAGE_BOUND_MS);
    // No message contains the address, because it contains a token.
    socket.onerror = socket.onclose = () => broken(new ScrapeError('the connection to the browser ended'));
    socket.onmessage = ({ data }) => {
        const { id, result, error } = JSON.parse(data);
        const waiter = waiting.get(id);
        if (error) waiter?.reject(new ScrapeError(error.message));
        else waiter?.resolve(result);
    };
    const call = (method, params, sessionId) => {
        const answered = new Promise((resolve, reject) => waiting.set(waiting.size + 1, { resolve, reject }));
        socket.send(JSON.stringify({ id: waiting.size, method, params, sessionId }));
        return Promise.race([answered, ended]);
    };
    try {
        await Promise.race([new Promise((resolve) => (socket.onopen = resolve)), ended]);
        const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
        const { frameTree } = await call('Page.getFrameTree', {}, sessionId);
        const world = { frameId: frameTree.frame.id, worldName: 'scrape' };
        const { executionContextId: contextId } = await call('Page.createIsolatedWorld', world, sessionId);
        const { result, exceptionDetails } = await call(
            'Runtime.evaluate',
            // The limit also applies in the page, because an abandoned conversion must not keep the
            // tab busy.
            { expression: source, contextId, returnByValue: true, timeout: PAGE_BOUND_MS },
            sessionId,
        );
        if (exceptionDetails) {
            const { exception, text } = exceptionDetails;
            throw new ScrapeError(`the page cannot be converted: ${exception?.description?.split('\n')[0] ?? text}`);
        }
        return result.value;
    } finally {
        clearTimeout(ticking);
        socket.close();
    }
}

/** The sources that page.js uses, in the order of their dependencies, and the names of their values. */
const PARTS = [
    ['dom', 'dom.js'],
    ['addressesOf', 'addresses.js'],
    ['tree', 'tree.js'],
    ['copyTree', 'copy.js'],
    ['flattenTables', 'tables.js'],
    ['toMarkdown', 'markdown.js'],
    ['markdown', 'page.js'],
];

/**
 * Returns the source to evaluate: the library, its plugin (a CommonJS module), and the parts.
 */
async function composeSource(installed) {
    const [library, plugin, ...parts] = await Promise.all([
        readFile(`${installed}/turndown/turndown.js`, 'utf8'),
        readFile(`${installed}/turndown/turndown-plugin-gfm.cjs.js`, 'utf8'),
        ...PARTS.map(async ([name, file]) => {
            const source = await readFile(new URL(file, import.meta.url), 'utf8');
            return `const ${name} = ${source.trim()};`;
        }),
    ]);
    return `(() => { ${library}
        const turndownPluginGfm = ((exports) => { ${plugin}
            return exports; })({});
        ${parts.join('\n')}
        return { title: dom.page.title, url: location.href, markdown }; })()`;
}

/**
 * Returns the text to print, truncated and wrapped in the style of agent-browser's other commands.
 */
function present({ markdown, url }, { maxOutput, contentBoundaries }) {
    const limit = /^\d+$/.test(maxOutput ?? '') ? Number(maxOutput) : Infinity;
    let text = markdown;
    if (text.length > limit) {
        text = `${text.slice(0, limit)}\n[truncated: showing ${limit} of ${text.length} chars. Use --max-output to adjust]`;
    }
    if (contentBoundaries) {
        const mark = `nonce=${randomBytes(16).toString('hex')}`;
        text = `--- AGENT_BROWSER_PAGE_CONTENT ${mark} origin=${url} ---\n${text}\n--- END_AGENT_BROWSER_PAGE_CONTENT ${mark} ---`;
    }
    return text && `${text}\n`;
}

const [installed, location, ...words] = process.argv.slice(2);
words.splice(Number(location), 1);
// The reader closed the pipe, as `| head` does.
process.stdout.on('error', () => process.exit(0));
const options = readOptions(words);
if (options.help) {
    process.stdout.write(HELP);
} else {
    try {
        const [tab, source] = await Promise.all([
            findTab(`${installed}/bin/agent-browser`, options.others),
            composeSource(installed),
        ]);
        const page = await evaluateApart(tab.endpoint, tab.targetId, source);
        process.stdout.write(
            options.json ? `${JSON.stringify({ success: true, data: page, error: null })}\n` : present(page, options),
        );
    } catch (error) {
        if (!(error instanceof ScrapeError)) throw error;
        process.exitCode = 1;
        if (options.json) process.stdout.write(`${JSON.stringify({ success: false, error: error.message })}\n`);
        else process.stderr.write(`✗ ${error.message}\n`);
    }
}
