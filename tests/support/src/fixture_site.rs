//! Pages of the test site that exercise browser commands.
//!
//! | path | page |
//! |---|---|
//! | `/elements` | fields, buttons, a list, a frame and draggable elements (`tests/fixtures/elements.html`); `#said` shows the last action |
//! | `/desk` | a button, fields, a slider, a list and a pad at known positions; `seen` records the events (`tests/fixtures/desk.html`) |
//! | `/article` | headings, lists, tables, code and links for Markdown (`tests/fixtures/article.html`) |
//! | `/headers` | the request's own headers, as text |
//! | `/locked` | titled `unlocked` for the user `ada` with the password `secret`, 401 for others |
//! | `/data.json` | `{"from":"site"}` |
//! | `/steps` | elements for the actions of scrapes (`tests/fixtures/steps.html`) |
//! | `/status/CODE` | titled `CODE`, with this status |
//! | `/moved` | a redirect to `/title/moved` |
//! | `/elsewhere` | a redirect to `/headers` on `localhost` |
//! | `/file.pdf`, `/file.txt` | a file of this kind |
//! | `/large` | 34 MB in an element that is not shown |

/// Answers a request for one of these pages; `None` for other paths.
pub(crate) fn answer(path: &str, request: &str) -> Option<String> {
    let html = "text/html; charset=utf-8";
    Some(match path {
        "/elements" => reply("200 OK", html, include_str!("../../fixtures/elements.html")),
        "/desk" => reply("200 OK", html, include_str!("../../fixtures/desk.html")),
        "/article" => reply("200 OK", html, include_str!("../../fixtures/article.html")),
        "/headers" => reply("200 OK", "text/plain", request),
        "/steps" => reply("200 OK", html, include_str!("../../fixtures/steps.html")),
        "/moved" => reply("302 Found\r\nLocation: /title/moved", html, ""),
        "/elsewhere" => {
            let host = request
                .lines()
                .find_map(|line| line.strip_prefix("Host: "))?;
            let port = host.rsplit(':').next()?;
            let to = format!("302 Found\r\nLocation: http://localhost:{port}/headers");
            reply(&to, html, "")
        }
        "/file.pdf" => reply("200 OK", "application/pdf", "%PDF-1.7"),
        "/file.txt" => reply("200 OK", "text/plain", "plain text"),
        "/large" => reply(
            "200 OK",
            html,
            &format!("<script type=x>{}</script>", "x".repeat(34_000_000)),
        ),
        "/data.json" => reply("200 OK", "application/json", r#"{"from":"site"}"#),
        // `ada:secret` in base64
        "/locked" if request.contains("Basic YWRhOnNlY3JldA==") => {
            reply("200 OK", html, "<title>unlocked</title>")
        }
        "/locked" => reply(
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"locked\"",
            html,
            "<title>locked</title>",
        ),
        _ => {
            let code = path.strip_prefix("/status/")?;
            let status = format!("{code} Own Words");
            reply(
                &status,
                html,
                &format!("<title>{code}</title><p>status {code}"),
            )
        }
    })
}

fn reply(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
