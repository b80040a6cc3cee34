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

/// Answers a request for one of these pages; `None` for other paths.
pub(crate) fn answer(path: &str, request: &str) -> Option<String> {
    let html = "text/html; charset=utf-8";
    Some(match path {
        "/elements" => reply("200 OK", html, include_str!("../../fixtures/elements.html")),
        "/desk" => reply("200 OK", html, include_str!("../../fixtures/desk.html")),
        "/article" => reply("200 OK", html, include_str!("../../fixtures/article.html")),
        "/headers" => reply("200 OK", "text/plain", request),
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
        _ => return None,
    })
}

fn reply(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
