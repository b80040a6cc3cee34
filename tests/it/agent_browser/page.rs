//! agent-browser commands for the page: navigation, interaction, reading, finding elements.

use crate::agent_browser::case::{Group, ONE_DAEMON, fails, works};

pub const GROUPS: &[Group] = &[
    Group {
        title: "Core commands",
        cases: &[
            works(
                "open <url>",
                "ab open $S/title/opened; ab get title",
                "opened",
            ),
            works("open", "ab open; ab get title", "Elements"),
            works(
                "goto <url>, navigate <url>",
                "ab goto $S/title/a; ab navigate $S/title/b; ab get title",
                "b",
            ),
            works("read", "ab read | grep Elements", "# Elements"),
            works(
                "read <url>",
                "ab read $S/title/text --raw | grep -o '<h1>text</h1>'",
                "<h1>text</h1>",
            ),
            works(
                "read --outline",
                "ab read --outline | grep -o Elements",
                "Elements",
            ),
            works("click <sel>", "ab click '#press'; said", "pressed"),
            works(
                "click <sel> --new-tab",
                "ab click '#away' --new-tab; ab get title; ab tab close >/dev/null",
                "away",
            ),
            works(
                "click <sel> --human",
                "ab click '#press' --human; said",
                "pressed",
            ),
            works("dblclick <sel>", "ab dblclick '#press'; said", "twice"),
            works(
                "type <sel> <text>",
                "ab type '#name' Ada; ab type '#name' ' L.'; ab get value '#name'",
                "Ada L.",
            ),
            works(
                "fill <sel> <text>",
                "ab type '#name' Ada; ab fill '#name' 'Grace H.'; ab get value '#name'",
                "Grace H.",
            ),
            works(
                "press <key>",
                "ab focus '#name'; ab press Enter; said",
                "released Enter",
            ),
            works(
                "key <key>",
                "ab focus '#name'; ab key a; ab get value '#name'",
                "a",
            ),
            works(
                "keyboard type <text>",
                "ab focus '#name'; ab keyboard type 'x y'; ab get value '#name'",
                "x y",
            ),
            works(
                "keyboard inserttext <text>",
                "ab focus '#name'; ab keyboard inserttext ä; echo \"$(ab get value '#name') $(said)\"",
                "ä focused",
            ),
            works(
                "keydown <key>",
                "ab focus '#name'; ab keydown Shift; said; ab keyup Shift >/dev/null",
                "key Shift",
            ),
            works(
                "keyup <key>",
                "ab focus '#name'; ab keydown Shift; ab keyup Shift; said",
                "released Shift",
            ),
            works("hover <sel>", "ab hover '#sheet'; said", "over"),
            works("focus <sel>", "ab focus '#name'; said", "focused"),
            works(
                "check <sel>",
                "ab check '#agreed'; ab is checked '#agreed'",
                "true",
            ),
            works(
                "uncheck <sel>",
                "ab check '#agreed'; ab uncheck '#agreed'; ab is checked '#agreed'",
                "false",
            ),
            works(
                "select <sel> <val...>",
                "ab select '#colour' Green; ab get value '#colour'",
                "g",
            ),
            works(
                "drag <src> <dst>",
                "ab drag '#goods' '#shelf'; said",
                "goods",
            ),
            works(
                "upload <sel> <files...>",
                "mkdir -p in; cd in; echo one >'a b.txt'; echo two >b.txt; ab upload '#files' 'a b.txt' ../in/b.txt; ab eval 'Promise.all([...files.files].map((file) => file.text())).then((texts) => texts.join(\"\").length)'",
                "8",
            ),
            works(
                "upload, then open",
                "echo x >u.txt; ab upload '#files' u.txt; ab open $S/title/after; ab get title",
                "after",
            ),
            works(
                "download <sel> <path>",
                "ab download '#file' got.txt; cat got.txt",
                "good evening",
            ),
            works(
                "scroll <dir> [px]",
                "ab scroll down 400; ab scroll up 100; ab eval scrollY",
                "300",
            ),
            works(
                "scroll <dir> --selector",
                "ab scroll down 50 --selector '#sheet'; ab eval sheet.scrollTop",
                "50",
            ),
            works(
                "scrollintoview <sel>",
                "ab scrollintoview '#far'; ab eval 'scrollY > 1000'",
                "true",
            ),
            works("wait <ms>", "ab wait 5", "✓ Done"),
            works(
                "wait <sel>",
                "ab click '#slow'; ab wait '#late'; ab is visible '#late'",
                "true",
            ),
            works(
                "wait <sel> --state hidden",
                "ab wait '#hidden' --state hidden",
                "✓ Done",
            ),
            works(
                "wait --text",
                "ab click '#slow'; ab wait --text 'Late arrival'; ab is visible '#late'",
                "true",
            ),
            works(
                "wait --fn",
                "ab click '#slow'; ab wait --fn window.ready; ab eval window.ready",
                "true",
            ),
            works(
                "wait --url",
                "ab wait --url '**/elements' >/dev/null && echo there",
                "there",
            ),
            works(
                "wait --load",
                "ab wait --load load; ab wait --load networkidle",
                "✓ Done",
            ),
            fails(
                "wait --download [path]",
                "ab eval 'setTimeout(() => file.click(), 200)'; ab wait --download w.txt 2>&1 | grep -o ✗",
                "✗",
                "agent-browser only receives files from a browser that it started; use `download <sel> <path>`",
            ),
            works(
                "screenshot [path]",
                "ab screenshot s.png; head -c 4 s.png | tail -c 3",
                "PNG",
            ),
            works(
                "screenshot",
                "ab --json screenshot | grep -o '[^\"]*[.]png' | head -1 | xargs head -c 4 | tail -c 3",
                "PNG",
            ),
            works(
                "screenshot --full",
                "ab screenshot --full f.png; [ \"$(height f.png)\" -gt 3000 ] && echo tall",
                "tall",
            ),
            works(
                "screenshot --annotate",
                "ab screenshot --annotate an.png | grep -o 'link \"Away\"'",
                "link \"Away\"",
            ),
            works(
                "screenshot <sel> <path>",
                "ab screenshot '#sheet' el.png; height el.png",
                "200",
            ),
            works("pdf <path>", "ab pdf p.pdf; head -c 4 p.pdf", "%PDF"),
            works(
                "snapshot",
                "ab snapshot | grep -c 'heading \"Elements\"'",
                "1",
            ),
            works(
                "snapshot -i, then @refs",
                "ab click @$(ab snapshot -i | grep '\"Press\"' | grep -o 'e[0-9]*' | tail -1); said",
                "pressed",
            ),
            works("snapshot -c", "ab snapshot -c | grep -c 'Locked'", "1"),
            works(
                "snapshot -d <n>",
                "[ $(ab snapshot -d 1 | wc -l) -lt $(ab snapshot | wc -l) ] && echo shorter",
                "shorter",
            ),
            works(
                "snapshot -s <sel>",
                "ab snapshot -s ul | grep -c Elements",
                "0",
            ),
            works(
                "snapshot --delta",
                "ab snapshot --delta >/dev/null; ab snapshot --delta | grep -o unchanged | head -1",
                "unchanged",
            ),
            works("eval <js>", "ab eval 'document.title + 1'", "\"Elements1\""),
            works("eval --stdin", "echo '6 * 7' | ab eval --stdin", "42"),
            works("eval -b", "ab eval -b NiAqIDc=", "42"),
            works(
                "connect <url>",
                "ab connect \"$CDP_URL\"; ab get title",
                "Elements",
            ),
            works("close", "ab close", "✓ Browser closed"),
            fails(
                "close, then any command",
                "ab close; ab get title 2>&1 | grep -o 'Daemon process exited' | head -1",
                "Daemon process exited",
                ONE_DAEMON,
            ),
            fails(
                "close --all, then any command",
                "ab close --all; ab get title 2>&1 | grep -o 'Daemon process exited' | head -1",
                "Daemon process exited",
                ONE_DAEMON,
            ),
        ],
    },
    Group {
        title: "Navigation",
        cases: &[
            works(
                "back",
                "ab open $S/title/next; ab back; ab get title",
                "Elements",
            ),
            works(
                "forward",
                "ab open $S/title/next; ab back; ab forward; ab get title",
                "next",
            ),
            works(
                "reload",
                "ab eval 'window.mark = 1'; ab reload; ab eval 'window.mark === undefined'",
                "true",
            ),
        ],
    },
    Group {
        title: "Get info",
        cases: &[
            works("get text <sel>", "ab get text h1", "Elements"),
            works("get html <sel>", "ab get html '#sheet'", "<p>Sheet</p>"),
            works("get value <sel>", "ab get value '#colour'", "r"),
            works(
                "get attr <sel> <name>",
                "ab get attr '#away' href",
                "/title/away",
            ),
            works("get title", "ab get title", "Elements"),
            works(
                "get url",
                "[ \"$(ab get url)\" = $S/elements ] && echo same",
                "same",
            ),
            works("get count <sel>", "ab get count .item", "3"),
            works(
                "get box <sel>",
                "ab get box '#sheet' | tr -d ' \\n' | grep -o 'width:200'",
                "width:200",
            ),
            works(
                "get styles <sel>",
                "ab get styles '#sheet' | grep -c 'rgb(136, 204, 255)'",
                "1",
            ),
            works(
                "get cdp-url",
                "[ \"$(ab get cdp-url)\" = \"$AGENT_BROWSER_CDP\" ] && echo same",
                "same",
            ),
        ],
    },
    Group {
        title: "Check state",
        cases: &[
            works("is visible <sel>", "ab is visible '#hidden'", "false"),
            works("is enabled <sel>", "ab is enabled '#locked'", "false"),
            works("is checked <sel>", "ab is checked '#agreed'", "false"),
        ],
    },
    Group {
        title: "Find elements",
        cases: &[
            works(
                "find role",
                "ab find role button click --name Press; said",
                "pressed",
            ),
            works(
                "find text",
                "ab find text Press click --exact; said",
                "pressed",
            ),
            works(
                "find label",
                "ab find label Name fill Ada; ab get value '#name'",
                "Ada",
            ),
            works(
                "find placeholder",
                "ab find placeholder 'Your name' fill Ada; ab get value '#name'",
                "Ada",
            ),
            works("find alt", "ab find alt Picture click; said", "picture"),
            works(
                "find title",
                "ab find title 'Press me' click; said",
                "pressed",
            ),
            works("find testid", "ab find testid press click; said", "pressed"),
            works("find first", "ab find first .item text", "first"),
            works("find last", "ab find last .item text", "third"),
            works("find nth", "ab find nth 1 .item text", "second"),
        ],
    },
    Group {
        title: "Mouse",
        cases: &[
            works("mouse move <x> <y>", "ab mouse move 1050 60; said", "over"),
            works(
                "mouse down [btn]",
                "ab mouse move 1050 60; ab mouse down right; said; ab mouse up right >/dev/null",
                "down 2 at 50,60",
            ),
            works(
                "mouse up [btn]",
                "ab mouse move 1050 60; ab mouse down; ab mouse up; said",
                "up 0",
            ),
            works(
                "mouse wheel <dy> [dx]",
                "ab mouse move 50 300; ab mouse wheel 200; ab wait --fn 'scrollY > 0'; ab eval scrollY",
                "200",
            ),
        ],
    },
];
