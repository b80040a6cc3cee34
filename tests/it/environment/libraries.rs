//! The installed libraries of Python and Node.

use hearth_test_support::TestServer;

const PYTHON: &str = r#"
import io
import bs4, httpx, lxml.etree, openpyxl, pandas, PIL.Image, requests
table = pandas.read_html(io.StringIO("<table><tr><th>n</th></tr><tr><td>41</td></tr></table>"))[0]
table["n"] += 1
table.to_excel("table.xlsx", index=False)
cell = openpyxl.load_workbook("table.xlsx").active["A2"].value
soup = bs4.BeautifulSoup("<p>soup</p>", "lxml")
PIL.Image.new("RGB", (3, 2)).save("picture.png")
size = PIL.Image.open("picture.png").size
print(cell, soup.p.text, size, requests.Request("GET", "http://a/").prepare().url, httpx.URL("http://b/").host)"#;

const PYTHON_PRINTED: &str = "42 soup (3, 2) http://a/ b";

const NODE_USE: &str = "console.log(load('<p>soup</p>')('p').text(), z.number().parse(42), parse('a,b')[0].join('+'), dayjs('2024-02-28').add(1, 'day').date());";

const NODE_PRINTED: &str = "soup 42 a+b 29";

const NODE_IMPORTS: &str = "import { load } from 'cheerio';
import { z } from 'zod';
import { parse } from 'csv-parse/sync';
import dayjs from 'dayjs';
";

const NODE_REQUIRES: &str = "const { load } = require('cheerio'), { z } = require('zod'), { parse } = require('csv-parse/sync'), dayjs = require('dayjs');
";

#[tokio::test]
async fn python_libraries_work_in_the_kernel_and_in_scripts() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let kernel = session.python(PYTHON).await.ok();
    assert_eq!(kernel.stdout.trim(), PYTHON_PRINTED);
    let script = format!("cat >script.py <<'EOF'{PYTHON}\nEOF\npython3 script.py");
    assert_eq!(session.bash(&script).await.ok().result, PYTHON_PRINTED);
    let child = "import subprocess, sys\nsubprocess.run([sys.executable, 'script.py'], capture_output=True, text=True).stdout.strip()";
    assert_eq!(session.python(child).await.ok().result, PYTHON_PRINTED);
    server.stop().await;
}

#[tokio::test]
async fn node_libraries_work_in_the_kernel_and_in_scripts() {
    let server = TestServer::start().await;
    for head in [NODE_IMPORTS, NODE_REQUIRES] {
        let scoped = format!("{head}{NODE_USE}");
        let session = server.session().await;
        let kernel = session.node(&scoped).await.ok();
        assert_eq!(kernel.stdout.trim(), NODE_PRINTED);
        session.delete().await;
    }
    let session = server.session().await;
    for (name, head) in [
        ("a.mjs", NODE_IMPORTS),
        ("b.cjs", NODE_REQUIRES),
        ("/tmp/$$.mjs", NODE_IMPORTS),
        ("/tmp/$$.cjs", NODE_REQUIRES),
    ] {
        let script = format!("cat >{name} <<'EOF'\n{head}{NODE_USE}\nEOF\nnode {name}; rm {name}");
        assert_eq!(
            session.bash(&script).await.ok().result,
            NODE_PRINTED,
            "{name}"
        );
    }
    let missing = "node --input-type=module -e \"import 'nope'\" 2>&1 | grep -o \"Cannot find package 'nope'\"";
    session.bash(missing).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn kernels_load_no_library_at_their_start() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let loaded = "import sys\n[name for name in ['bs4', 'httpx', 'lxml', 'numpy', 'openpyxl', 'pandas', 'PIL', 'requests'] if name in sys.modules]";
    assert_eq!(session.python(loaded).await.ok().result, "[]");
    let loaded =
        "Object.keys(require.cache).filter((path) => path.includes('/node_modules/')).length";
    assert_eq!(session.node(loaded).await.ok().result, "0");
    server.stop().await;
}

#[tokio::test]
async fn code_cannot_change_the_installed_libraries() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "
for file in $(python3 -c 'import requests; print(requests.__file__)') $(node -p 'require.resolve(\"dayjs\")'); do
    { echo broken >>$file || touch $(dirname $file)/planted || rm $file; } 2>/dev/null && echo changed
done
echo done";
    assert_eq!(session.bash(code).await.ok().result, "done");
    server.stop().await;
}
