//! `agent-browser scrape`: the page as Markdown.

use hearth_test_support::{Session, Site, TestServer};

/// Opens a page of the site and scrapes it.
async fn scrape(session: &Session, url: &str) -> String {
    session
        .bash(&format!(
            "agent-browser open '{url}' >/dev/null && agent-browser scrape"
        ))
        .await
        .ok()
        .stdout
}

#[tokio::test]
async fn a_page_is_printed_as_markdown() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let expected = r#"# The _old_ mill

A [link](SITE/grain?kind=rye "Rye"), an [outer one](https://example.com/a\(b\)), `inline`, **strong** and ~~gone~~.

![The mill](SITE/mill.png) ![A dot](<Base64-Image-Removed>)

## Lists

- flour
  - rye
  - wheat
    3. coarse
    4. fine
- bran

- [x]  ground
- [ ]  sold

## Tables

| Kind | Price |
| --- | ---: |
| rye \| wheat | 3   |
| - one<br>- two | `4` |

|     |     |
| --- | --- |
| no  | head |
| at  | all |

### Layout

not a table

## Code

```rust
fn main() {
    println!("one_two *three*");
}
```

```
plain
  text
```

```js
let a = 1;
```

> Quoted
> 
> twice

[**Card**\
\
over two lines](SITE/card)

Written by a script
"#;
    assert_eq!(
        scrape(&session, &site.url("/article"))
            .await
            .replace(&site.url(""), "SITE"),
        expected
    );
    server.stop().await;
}

#[tokio::test]
async fn scrape_reads_the_current_page_and_does_not_change_it() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    scrape(&session, &site.url("/title/before")).await;
    let code = "agent-browser eval 'document.body.innerHTML = \"<p>now <b>this</b></p><custom-part></custom-part>\"; \
                window.woken = 0; customElements.define(\"custom-part\", class extends HTMLElement { constructor() { super(); woken++; } }); 0' >/dev/null\n\
                agent-browser scrape; agent-browser eval 'document.body.innerHTML + woken'";
    let execution = session.bash(code).await.ok();
    assert_eq!(
        execution.result,
        "now **this**\n\"<p>now <b>this</b></p><custom-part></custom-part>1\""
    );
    server.stop().await;
}

#[tokio::test]
async fn an_empty_page_prints_nothing() {
    let server = TestServer::start().await;
    let session = server.session().await;
    assert_eq!(scrape(&session, "about:blank").await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_five_megabytes_is_converted() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // Long lists and tables could take quadratic time. Most of the page is text and the timeout is
    // generous, because the test does not assert speed.
    let fill = "agent-browser eval 'document.body.innerHTML = \"<ul>\" + \"<li>item <a href=/a>x</a></li>\".repeat(6000) + \"</ul><table>\" \
                + \"<tr><td>a</td><td>b</td></tr>\".repeat(3000) + \"</table><p>\" + \"word \".repeat(950000); document.body.innerHTML.length' \n\
                agent-browser scrape >page.md; wc -c <page.md; grep -c '^- item' page.md; grep -c '^| a' page.md";
    let lines = session
        .with_long_timeout()
        .run_for("bash", fill, 150)
        .await
        .ok()
        .stdout;
    let numbers: Vec<usize> = lines
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert!(
        numbers[0] > 5_000_000,
        "the page has {} characters",
        numbers[0]
    );
    assert!(
        numbers[1] > 4_500_000,
        "the Markdown has {} bytes",
        numbers[1]
    );
    assert_eq!(numbers[2..], [6_000, 3_000]);
    server.stop().await;
}

#[tokio::test]
async fn output_is_truncated_and_marked_as_with_other_commands() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    scrape(&session, &site.url("/title/Mill")).await;
    let execution = session
        .bash("agent-browser scrape --max-output 6; agent-browser --content-boundaries scrape")
        .await;
    let lines: Vec<String> = execution
        .ok()
        .stdout
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(
        lines[..2],
        [
            "# Mill",
            "[truncated: showing 6 of 20 chars. Use --max-output to adjust]"
        ]
    );
    assert!(
        lines[2].starts_with("--- AGENT_BROWSER_PAGE_CONTENT nonce="),
        "{}",
        lines[2]
    );
    assert!(
        lines[2].ends_with(&format!(" origin={} ---", site.url("/title/Mill"))),
        "{}",
        lines[2]
    );
    assert!(
        lines
            .last()
            .expect("lines")
            .starts_with("--- END_AGENT_BROWSER_PAGE_CONTENT nonce=")
    );
    server.stop().await;
}

#[tokio::test]
async fn json_holds_the_markdown_and_the_pages_address() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    scrape(&session, &site.url("/title/Mill")).await;
    let answer = session
        .bash("agent-browser --json scrape")
        .await
        .ok()
        .json();
    let data = serde_json::json!({"title": "Mill", "url": site.url("/title/Mill"), "markdown": "# Mill\n\nA paragraph."});
    assert_eq!(
        answer,
        serde_json::json!({"success": true, "data": data, "error": null})
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_does_not_respond_is_a_readable_error() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    scrape(&session, &site.url("/title/busy")).await;
    let code = "agent-browser eval 'for (const end = Date.now() + 6000; Date.now() < end;);' >/dev/null &\n\
                AGENT_BROWSER_DEFAULT_TIMEOUT=1000 agent-browser scrape";
    let execution = session.bash(code).await.failed(1);
    assert_eq!(
        execution.error().trim(),
        "✗ the page did not answer within 1000 ms"
    );
    server.stop().await;
}
