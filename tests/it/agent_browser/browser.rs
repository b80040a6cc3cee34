//! agent-browser commands for the browser outside the page: settings, network, storage, tabs,
//! frames, dialogs.

use crate::agent_browser::case::{Group, elsewhere, works, works_when_permitted};

pub const GROUPS: &[Group] = &[
    Group {
        title: "Browser settings",
        cases: &[
            works(
                "set viewport <w> <h>",
                "ab set viewport 800 600; ab eval 'innerWidth + \"x\" + innerHeight'; ab set viewport 1280 720 >/dev/null",
                "\"800x600\"",
            ),
            works(
                "set device <name>",
                "ab tab new about:blank; ab set device 'iPhone 14'; ab eval 'navigator.userAgent.includes(\"iPhone\")'; ab tab close >/dev/null",
                "true",
            ),
            works_when_permitted(
                "set geo <lat> <lng>",
                "ab set geo 52.5 13.4; ab eval 'new Promise((done) => navigator.geolocation.getCurrentPosition(({ coords }) => done(coords.latitude), ({ message }) => done(message)))'",
                "52.5",
            ),
            works(
                "set offline [on\\|off]",
                "ab set offline on; ab eval navigator.onLine; ab set offline off >/dev/null",
                "false",
            ),
            works(
                "set headers <json>",
                "ab set headers '{\"X-Mill\":\"grinds\"}'; ab open $S/headers; ab get text body | grep -io x-mill.*; ab set headers '{}' >/dev/null",
                "X-Mill: grinds",
            ),
            works(
                "set credentials <user> <pass>",
                "ab tab new about:blank; ab set credentials ada secret; ab open $S/locked; ab get title; ab tab close >/dev/null",
                "unlocked",
            ),
            works(
                "set media [dark\\|light] [reduced-motion]",
                "ab set media dark reduced-motion; ab eval 'matchMedia(\"(prefers-color-scheme: dark) and (prefers-reduced-motion: reduce)\").matches'; ab set media light >/dev/null",
                "true",
            ),
        ],
    },
    Group {
        title: "Network",
        cases: &[
            works(
                "network route <url> --body",
                "ab network route '**/data.json' --body '{\"from\":\"mock\"}'; ab eval \"$FETCH\"; ab network unroute >/dev/null",
                "\"{\\\"from\\\":\\\"mock\\\"}\"",
            ),
            works(
                "network route <url> --abort",
                "ab network route '**/data.json' --abort; ab eval \"$FETCH\"; ab network unroute >/dev/null",
                "\"TypeError: Failed to fetch\"",
            ),
            works(
                "network route --resource-type",
                "ab network route '*' --abort --resource-type document; ab open $S/title/x 2>&1 | grep -o ERR_[A-Z_]*; ab network unroute >/dev/null",
                "ERR_FAILED",
            ),
            works(
                "network unroute [url]",
                "ab network route '**/data.json' --abort; ab network unroute '**/data.json'; ab eval \"$FETCH\"",
                "\"{\\\"from\\\":\\\"site\\\"}\"",
            ),
            works(
                "network requests",
                "ab network requests --clear; ab eval \"$FETCH\"; ab network requests --filter data.json | grep -c 'GET .*data.json (Fetch)'",
                "1",
            ),
            works(
                "network requests --clear",
                "ab eval \"$FETCH\"; ab network requests --clear; ab network requests",
                "No requests captured",
            ),
            works(
                "network request <id>",
                "ab network requests --clear; ab eval \"$FETCH\"; ab --json network request $(ab network requests --filter data.json | grep -o '^[^]]*' | tr -d '[' | head -1) | grep -o 'from.....site'",
                "from\\\":\\\"site",
            ),
            works(
                "network har start, stop [path]",
                "ab network har start; ab eval \"$FETCH\"; ab network har stop x.har; grep -o 'http[^\"]*data.json' x.har | grep -c .",
                "1",
            ),
        ],
    },
    Group {
        title: "Storage",
        cases: &[
            works(
                "cookies set <name> <value>",
                "ab cookies set grain rye; ab eval document.cookie; ab cookies clear >/dev/null",
                "\"grain=rye\"",
            ),
            works(
                "cookies set --url --http-only --same-site",
                "ab cookies set hid den --url $S --http-only --same-site Strict; echo \"$(ab cookies get) $(ab eval document.cookie)\"; ab cookies clear >/dev/null",
                "hid=den \"\"",
            ),
            works(
                "cookies set --curl <file>",
                "echo 'one=1; two=2' >jar; ab cookies set --curl jar --domain 127.0.0.1; ab cookies get | sort | tr '\\n' ' '; ab cookies clear >/dev/null",
                "one=1 two=2",
            ),
            works(
                "cookies clear",
                "ab cookies set a b; ab cookies clear; ab eval document.cookie",
                "\"\"",
            ),
            works(
                "storage local set, get",
                "ab storage local set k v; ab eval 'localStorage.k'; ab storage local get k",
                "k: v",
            ),
            works(
                "storage local",
                "ab storage local clear; ab storage local set k v; ab storage local",
                "k: v",
            ),
            works(
                "storage local clear",
                "ab storage local set k v; ab storage local clear; ab eval localStorage.length",
                "0",
            ),
            works(
                "storage session",
                "ab storage session set k w; ab eval sessionStorage.k",
                "\"w\"",
            ),
        ],
    },
    Group {
        title: "Tabs, windows, frames, dialogs",
        cases: &[
            works("tab list", "ab tab list | grep -c '^→.*/elements'", "1"),
            works(
                "tab new [url]",
                "ab tab new $S/title/two; ab get title; ab tab close >/dev/null",
                "two",
            ),
            works(
                "tab new --label <name> [url]",
                "ab tab new --label mill $S/title/m; ab tab list | grep -c ' mill '; ab tab close mill >/dev/null",
                "1",
            ),
            works(
                "tab <id or label>",
                "ab tab new --label left $S/title/l; ab tab new $S/title/r; ab tab left; ab get title; ab tab close left >/dev/null; ab tab close >/dev/null",
                "l",
            ),
            works(
                "tab close",
                "ab tab new $S/title/two; ab tab close; ab get title",
                "Elements",
            ),
            works(
                "window new",
                "ab window new; ab get url; ab tab close >/dev/null",
                "about:blank",
            ),
            works(
                "frame <sel>",
                "ab frame '#inner'; ab get text '#within'; ab frame main >/dev/null",
                "Within the frame",
            ),
            works(
                "frame main",
                "ab frame '#inner'; ab frame main; ab get text h1",
                "Elements",
            ),
            works(
                "dialog status",
                "ask; ab dialog status | grep -o Who; ab dialog dismiss >/dev/null",
                "Who",
            ),
            works(
                "dialog accept [text]",
                "ask; ab dialog accept Ada; said",
                "Ada",
            ),
            works(
                "dialog dismiss",
                "ask; ab dialog dismiss; ab eval 'said.textContent === \"\"'",
                "true",
            ),
        ],
    },
    Group {
        title: "State",
        cases: &[
            works(
                "state save, load",
                "ab cookies set grain rye; ab state save st.json; ab cookies clear; ab state load st.json; ab cookies get; ab cookies clear >/dev/null",
                "grain=rye",
            ),
            works(
                "state show <file>",
                "ab state save $PWD/st.json; ab state show $PWD/st.json | grep -c .",
                "1",
            ),
            works(
                "state list",
                "ab state list | head -1 | grep -o 'Saved states'",
                "Saved states",
            ),
            works(
                "state clear, clean",
                "ab state clear --all; ab state clean --older-than 1 | grep -o Cleaned",
                "Cleaned",
            ),
            elsewhere(
                "--restore, --state, --profile",
                "they prepare a browser before it starts, and a session's browser is already \
                 running; use `state load`",
            ),
        ],
    },
];
