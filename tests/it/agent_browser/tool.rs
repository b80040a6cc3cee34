//! agent-browser commands for debugging pages, and for agent-browser itself.

use crate::agent_browser::case::{
    Expected, Group, ONE_DAEMON, elsewhere, fails, works, works_from, works_when_permitted,
};

pub const GROUPS: &[Group] = &[
    Group {
        title: "Diff",
        cases: &[
            works(
                "diff snapshot",
                "ab snapshot >/dev/null; ab eval 'document.querySelector(\"h1\").textContent = \"Changed\"'; ab diff snapshot | grep -o '+.*Changed\"'",
                "+- heading \"Changed\"",
            ),
            works(
                "diff screenshot --baseline",
                "ab screenshot b.png; ab diff screenshot --baseline b.png | head -1",
                "✓ Images match (0% difference)",
            ),
            works(
                "diff screenshot --output",
                "ab screenshot b.png; ab eval 'document.body.style.background = \"red\"'; ab diff screenshot --baseline b.png -o d.png; head -c 4 d.png | tail -c 3",
                "PNG",
            ),
            works(
                "diff url <u1> <u2>",
                "ab --json diff url $S/title/first $S/elements | grep -o '\"changed\":true'",
                "\"changed\":true",
            ),
        ],
    },
    Group {
        title: "Debug",
        cases: &[
            works(
                "trace start, stop [path]",
                "ab trace start; ab reload; ab trace stop t.json; head -c 14 t.json",
                "{\"traceEvents\"",
            ),
            works(
                "profiler start, stop [path]",
                "ab profiler start; ab reload; ab profiler stop p.json; grep -c traceEvents p.json",
                "1",
            ),
            elsewhere(
                "record start, stop, restart",
                "it needs `ffmpeg` on the machine's `PATH`, which the runtime does not include",
            ),
            works(
                "console",
                "ab console --clear; ab eval 'console.log(\"ground\")'; ab console",
                "[log] ground",
            ),
            works(
                "console --clear",
                "ab eval 'console.log(1)'; ab console --clear; ab console | grep -c log",
                "0",
            ),
            works(
                "errors",
                "ab errors --clear; ab eval 'setTimeout(() => { throw new Error(\"jam\"); })'; ab wait 20; ab --json errors | grep -o 'Error: jam' | head -1",
                "Error: jam",
            ),
            works(
                "errors --clear",
                "ab errors --clear; ab errors | grep -c Error",
                "0",
            ),
            works("highlight <sel>", "ab highlight '#sheet'", "✓ Done"),
            works(
                "inspect",
                "ab inspect | grep -o 'Opened DevTools'",
                "Opened DevTools",
            ),
            works_when_permitted(
                "clipboard write, read",
                "ab clipboard write hello; ab clipboard read",
                "hello",
            ),
            works_when_permitted(
                "clipboard copy, paste",
                "ab fill '#name' again; ab press Control+a; ab clipboard copy; ab press End; ab clipboard paste; ab get value '#name'",
                "againagain",
            ),
        ],
    },
    Group {
        title: "Streaming, WebMCP, React, performance, accessibility",
        cases: &[
            works(
                "stream disable, enable, status",
                "ab stream disable; ab stream enable; ab stream status | grep -o 'Streaming enabled'",
                "Streaming enabled",
            ),
            works_from(
                "webmcp list",
                "ab webmcp list 2>&1 | grep -oE \"No WebMCP tools registered on the current page|'WebMCP.enable' wasn't found\"",
                Expected {
                    chromium: 156,
                    last_line: "No WebMCP tools registered on the current page",
                },
                Expected {
                    chromium: 148,
                    last_line: "'WebMCP.enable' wasn't found",
                },
                "the CDP method `WebMCP.enable` is missing",
            ),
            elsewhere(
                "webmcp invoke, result, cancel",
                "they need tools that a page registers through a feature that agent-browser \
                 enables only in browsers that it starts",
            ),
            works(
                "open --enable react-devtools, react tree",
                "ab open --enable react-devtools $S/elements; ab react tree 2>&1 | grep -o 'No React renderer attached'",
                "No React renderer attached",
            ),
            works(
                "react renders start, stop",
                "ab open --enable react-devtools $S/elements; ab react renders start; ab react renders stop",
                "(no renders captured)",
            ),
            works("vitals [url]", "ab vitals | grep -o '^ttfb'", "ttfb"),
            works(
                "a11y [url]",
                "ab a11y | grep -o 'axe-core: [0-9]*'",
                "axe-core: 4",
            ),
            works(
                "pushstate <url>",
                "ab eval 'window.mark = 1'; ab pushstate /pushed; ab eval 'window.mark + location.pathname'",
                "\"1/pushed\"",
            ),
        ],
    },
    Group {
        title: "Init scripts, batch",
        cases: &[
            works(
                "open --init-script <path>",
                "echo 'window.early = 1' >i.js; ab tab new about:blank; ab open --init-script i.js $S/elements; ab eval window.early; ab tab close >/dev/null",
                "1",
            ),
            fails(
                "addinitscript <js>",
                "ab addinitscript 1 2>&1",
                "Unknown command: addinitscript",
                "the guides mention it, but the pinned version lacks it; use `open --init-script`",
            ),
            fails(
                "removeinitscript <id>",
                "ab open --init-script i.js $S/elements; ab removeinitscript 1 2>&1",
                "✗ CDP error (Page.removeScriptToEvaluateOnNewDocument): Script not found",
                "only `addinitscript` returns an id",
            ),
            works(
                "batch \"cmd\" ...",
                "ab batch 'fill #name Ada' 'get value #name' | tail -1",
                "Ada",
            ),
            works(
                "batch from stdin",
                "echo '[[\"get\",\"title\"],[\"get\",\"text\",\"h1\"]]' | ab batch --json | grep -o Elements | grep -c .",
                "2",
            ),
            works(
                "batch --bail",
                "ab batch --bail 'get nonsense' 'click #press' 2>/dev/null; said",
                "nothing",
            ),
        ],
    },
    Group {
        title: "Auth vault, plugins, confirmation",
        cases: &[
            works(
                "auth save, list, show, delete",
                "echo pw | ab auth save mill --url $S/elements --username ada --password-stdin; ab auth list | grep -c 'mill.*ada'; ab auth delete mill >/dev/null",
                "1",
            ),
            works(
                "auth login <name>",
                "echo pw | ab auth save mill --url $S/elements --username ada --password-stdin; ab auth login mill --username-selector '#name' --password-selector '#secret' --submit-selector '#away'; ab wait --text away >/dev/null; ab get title; ab auth delete mill >/dev/null",
                "away",
            ),
            works(
                "plugin list, show <name>",
                "ab plugin list",
                "No plugins configured",
            ),
            elsewhere("plugin add, run", "plugins are programs from npm or GitHub"),
            works(
                "confirm <id>, deny <id>",
                "ab confirm none 2>&1; ab deny none 2>&1",
                "✗ No pending confirmation",
            ),
        ],
    },
    Group {
        title: "Sessions",
        cases: &[
            works("session", "ab session", "s"),
            works("session list", "ab session list | grep -c '→ s'", "1"),
            works(
                "session info",
                "ab session info | grep -o 'Daemon: running'",
                "Daemon: running",
            ),
            works("session id", "ab session id | grep -cE '^[0-9a-f]+$'", "1"),
            fails(
                "--session <name>",
                "ab --session two get title 2>&1 | grep -o 'Daemon process exited' | head -1",
                "Daemon process exited",
                ONE_DAEMON,
            ),
            works(
                "--json",
                "ab --json get title | grep -o '\"title\":\"Elements\"'",
                "\"title\":\"Elements\"",
            ),
            works(
                "--max-output <chars>",
                "ab --max-output 4 get text h1 | head -1",
                "Elem",
            ),
            works(
                "--content-boundaries",
                "ab --content-boundaries get text h1 | grep -c AGENT_BROWSER_PAGE_CONTENT",
                "2",
            ),
            works(
                "--pin-tab, --no-pin-tab",
                "ab --pin-tab get title; ab --no-pin-tab get title",
                "Elements",
            ),
            works("--version", "ab --version", "agent-browser 0.41.2"),
            works(
                "<command> --help",
                "ab click --help | head -1",
                "agent-browser click - Click an element",
            ),
        ],
    },
    Group {
        title: "Skills, MCP, chat, dashboard, setup",
        cases: &[
            works("skills list", "ab skills list | grep -o '^ *core'", "core"),
            works(
                "skills get <name>",
                "ab skills get core | sed -n 2p",
                "name: core",
            ),
            works(
                "skills get core --ref <ref>",
                "ab skills get core --ref commands | head -1",
                "# Command Reference",
            ),
            works(
                "skills path [name]",
                "test -f \"$(ab skills path core)/SKILL.md\" && echo there",
                "there",
            ),
            works(
                "mcp call <tool>",
                "ab mcp call agent_browser_get_title | grep -o '\"text\":\"Elements\"'",
                "\"text\":\"Elements\"",
            ),
            works(
                "mcp",
                "echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}' | ab mcp | grep -o agent_browser_open | head -1",
                "agent_browser_open",
            ),
            works(
                "doctor --offline --quick",
                "ab doctor --offline --quick | grep -o 'CLI version 0.41.2'",
                "CLI version 0.41.2",
            ),
            works(
                "profiles",
                "ab profiles 2>&1",
                "No Chrome user data directory found",
            ),
            elsewhere(
                "chat",
                "it needs an API key of a model service (`AI_GATEWAY_API_KEY`)",
            ),
            elsewhere(
                "dashboard start, stop",
                "a local web server, which would end with the call that started it",
            ),
            elsewhere(
                "install, upgrade",
                "they install a browser or a newer version, and both are pinned here",
            ),
            elsewhere("device, tap, swipe, -p ios", "for the iOS simulator"),
            elsewhere("-p <provider>", "a browser of another provider"),
            elsewhere(
                "--extension, --args, --proxy, --headed, --engine, --executable-path",
                "they apply only to a browser that agent-browser starts",
            ),
        ],
    },
    Group {
        title: "Added by Hearth",
        cases: &[
            works("scrape", "ab scrape | head -1", "# Elements"),
            works(
                "scrape --json",
                "ab scrape --json | grep -o '\"title\":\"Elements\"'",
                "\"title\":\"Elements\"",
            ),
            fails(
                "--session <name> scrape",
                "ab --session two scrape 2>&1 | grep -o 'Daemon process exited' | head -1",
                "Daemon process exited",
                ONE_DAEMON,
            ),
        ],
    },
];
