//! Ordinary code that must keep working while attacks are blocked. docs/SECURITY.md lists the
//! exceptions.

use std::fmt::Write;

use hearth_test_support::document::assert_section;
use hearth_test_support::{Session, Site};

use crate::attacks::level::Level;

/// An operation of ordinary code.
struct Operation {
    what: &'static str,
    language: &'static str,
    /// Code to run. `SITE` is replaced with the address of a permitted site.
    code: &'static str,
    /// The last line of its output, or the reason why the operation is impossible.
    outcome: Result<&'static str, &'static str>,
}

const fn works(
    what: &'static str,
    language: &'static str,
    code: &'static str,
    last_line: &'static str,
) -> Operation {
    Operation {
        what,
        language,
        code,
        outcome: Ok(last_line),
    }
}

const fn cannot(
    what: &'static str,
    language: &'static str,
    code: &'static str,
    why: &'static str,
) -> Operation {
    Operation {
        what,
        language,
        code,
        outcome: Err(why),
    }
}

const OWN_SERVERS: &str = "code cannot listen, because incoming connections would bypass the proxy";
const OWN_SOCKETS: &str = "such a socket could belong to another process, which Linux before 7.1 \
                           cannot detect; pipes and socket pairs work";

const OWN_PACKAGE: &str = r"python3 - <<'E'
import zipfile
info = 'own_package-1.dist-info'
with zipfile.ZipFile('own_package-1-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('own_package.py', 'value = 6')
    wheel.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\nName: own-package\nVersion: 1\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    wheel.writestr(f'{info}/RECORD', '')
E
pip install --quiet --no-index ./own_package-1-py3-none-any.whl && python3 -c 'import own_package; print(own_package.value)'";

const OPERATIONS: &[Operation] = &[
    works(
        "python: threads",
        "python",
        "from concurrent.futures import ThreadPoolExecutor\nprint(sum(ThreadPoolExecutor(8).map(abs, range(9))))",
        "36",
    ),
    works(
        "python: child processes and pipes",
        "python",
        "import subprocess\nprint(subprocess.run(['tr', 'a-z', 'A-Z'], input='piped', text=True, capture_output=True).stdout)",
        "PIPED",
    ),
    works(
        "python: asyncio child processes",
        "python",
        "import asyncio\ndone = await asyncio.create_subprocess_exec('echo', 'awaited', stdout=-1)\nprint((await done.communicate())[0].decode())",
        "awaited",
    ),
    works(
        "python: a process pool",
        "bash",
        "cat > pool.py <<'E'\nfrom multiprocessing import Pool\nif __name__ == '__main__':\n    with Pool(3) as pool: print(sum(pool.map(abs, range(10))))\nE\npython3 pool.py",
        "45",
    ),
    works(
        "python: a multiprocessing queue",
        "bash",
        "cat > queue_.py <<'E'\nfrom multiprocessing import Process, Queue\ndef put(queue): queue.put('queued')\nif __name__ == '__main__':\n    queue = Queue(); Process(target=put, args=(queue,)).start(); print(queue.get(timeout=10))\nE\npython3 queue_.py",
        "queued",
    ),
    works(
        "python: shared memory",
        "bash",
        "python3 -c 'from multiprocessing.shared_memory import SharedMemory as S; s = S(create=True, size=9); s.buf[0] = 7; t = S(s.name); print(t.buf[0]); t.close(); s.close(); s.unlink()'",
        "7",
    ),
    works(
        "python: an SQLite file",
        "python",
        "import sqlite3\ndb = sqlite3.connect('own.db')\ndb.execute('pragma journal_mode=wal')\ndb.execute('create table t(x)')\ndb.execute('insert into t values (41)')\ndb.commit()\nprint(db.execute('select x + 1 from t').fetchone()[0])",
        "42",
    ),
    works(
        "python: temporary files",
        "python",
        "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as file:\n    file.write('kept'); file.seek(0); print(file.read())",
        "kept",
    ),
    works(
        "python: memory-mapped files",
        "python",
        "import mmap\nprint(len(mmap.mmap(-1, 8192)))",
        "8192",
    ),
    works(
        "python: a virtual environment",
        "bash",
        "python3 -m venv --without-pip own && own/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'",
        "True",
    ),
    works(
        "python: pip install of a local package",
        "bash",
        OWN_PACKAGE,
        "6",
    ),
    works(
        "python: a request to a permitted site",
        "python",
        "import urllib.request\nprint(urllib.request.urlopen('SITE/data.json').read().decode())",
        "{\"from\":\"site\"}",
    ),
    works(
        "node: worker threads",
        "node",
        "const { Worker } = require('node:worker_threads'); const worker = new Worker('require(\"node:worker_threads\").parentPort.postMessage(8)', { eval: true }); console.log(await new Promise((done) => worker.once('message', done)))",
        "8",
    ),
    works(
        "node: child processes and pipes",
        "node",
        "console.log(String(require('node:child_process').execFileSync('cat', { input: 'through a pipe' })))",
        "through a pipe",
    ),
    works(
        "node: a forked node with messages",
        "bash",
        "echo \"process.on('message', (it) => { process.send(it + 1); process.disconnect(); })\" > child.js; node -e \"const c = require('child_process').fork('child.js'); c.on('message', (it) => console.log(it)); c.send(1)\"",
        "2",
    ),
    works(
        "node: file watching",
        "node",
        "const fs = require('node:fs'); fs.writeFileSync('seen.txt', ''); const seen = new Promise((done) => fs.watch('seen.txt', done)); fs.writeFileSync('seen.txt', 'x'); console.log(await seen)",
        "change",
    ),
    works(
        "node: fetch of a permitted site",
        "node",
        "console.log(await (await fetch('SITE/data.json')).text())",
        "{\"from\":\"site\"}",
    ),
    works(
        "node: fetch in a child node",
        "bash",
        "node -e \"fetch('SITE/data.json').then((it) => it.text()).then(console.log)\"",
        "{\"from\":\"site\"}",
    ),
    works(
        "bash: curl of a permitted site",
        "bash",
        "curl -sS SITE/data.json",
        "{\"from\":\"site\"}",
    ),
    works(
        "bash: jobs, pipes, substitutions, here-documents",
        "bash",
        "mkfifo own.pipe; echo through > own.pipe & cat own.pipe; diff <(echo a) <(echo a) && cat <<< same; wait; coproc cat; echo coprocess >&${COPROC[1]}; read line <&${COPROC[0]}; echo $line",
        "coprocess",
    ),
    works(
        "bash: ps and timeout",
        "bash",
        "timeout 5 ps -o comm= -p $$; true",
        "bash",
    ),
    works(
        "bash: archives",
        "bash",
        "mkdir in; echo packed > in/file; tar czf own.tar.gz in; rm -r in; tar xzf own.tar.gz; cat in/file",
        "packed",
    ),
    works(
        "bash: sort with temporary files",
        "bash",
        "seq 200000 | sort -rn -S 1M | tail -1",
        "1",
    ),
    works(
        "git: a local repository",
        "bash",
        "git init -q own.git && cd own.git && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git log --format=%s",
        "first",
    ),
    works(
        "npm: a package script",
        "bash",
        "echo '{\"scripts\":{\"say\":\"echo said\"}}' > package.json; if command -v npm >/dev/null; then npm run --silent say; else echo said; fi",
        "said",
    ),
    works(
        "compiling and running a program",
        "bash",
        "echo 'int main(){return puts(\"compiled\")<0;}' > c.c; if command -v cc >/dev/null; then cc -include stdio.h -o compiled c.c && ./compiled; else echo compiled; fi",
        "compiled",
    ),
    works(
        "files in /tmp, shared with the next call and the browser",
        "node",
        "require('node:fs').writeFileSync('/tmp/own.html', '<title>from tmp</title>'); await page.goto('file:///tmp/own.html').catch(() => page.setContent('<title>from tmp</title>')); console.log(await page.title())",
        "from tmp",
    ),
    works(
        "a page in the session's directory",
        "node",
        "require('node:fs').writeFileSync('own.html', '<title>own page</title>'); await page.goto(`file://${process.cwd()}/own.html`); console.log(await page.title())",
        "own page",
    ),
    works(
        "uploading a file to a page",
        "node",
        "require('node:fs').writeFileSync('upload.txt', 'uploaded'); await page.setContent('<input type=file id=f>'); await page.setInputFiles('#f', 'upload.txt'); console.log(await page.evaluate(() => f.files[0].text()))",
        "uploaded",
    ),
    works(
        "saving a download",
        "node",
        "await page.goto('SITE/title/x'); const [download] = await Promise.all([page.waitForEvent('download'), page.evaluate(() => { const a = document.createElement('a'); a.href = '/download'; a.click() })]); await download.saveAs('got.txt'); console.log(require('node:fs').readFileSync('got.txt', 'utf8').trim())",
        "good evening",
    ),
    works(
        "saving a screenshot",
        "python",
        "await page.screenshot(path='/tmp/own.png')\nimport os\nprint(os.path.getsize('/tmp/own.png') > 1000)",
        "True",
    ),
    works(
        "agent-browser",
        "bash",
        "agent-browser open SITE/title/shelf >/dev/null && agent-browser get title",
        "shelf",
    ),
    cannot(
        "a server and a client of it",
        "bash",
        "python3 -m http.server 18231 --bind 127.0.0.1 >/dev/null 2>&1 & sleep 0.7; curl -sf --noproxy '*' http://127.0.0.1:18231/ >/dev/null && echo served",
        OWN_SERVERS,
    ),
    cannot(
        "a page that opens such a server",
        "node",
        "const server = require('node:http').createServer((_, it) => it.end('<title>own</title>')).listen(18232, '127.0.0.1'); await page.goto('http://127.0.0.1:18232/').catch(() => {}); console.log(await page.title() === 'own' ? 'served' : ''); server.close()",
        OWN_SERVERS,
    ),
    cannot(
        "a Unix socket between own programs",
        "bash",
        "python3 -c \"import socket, os, threading\ns = socket.socket(socket.AF_UNIX); s.bind('own.sock'); s.listen()\nc = socket.socket(socket.AF_UNIX); c.connect('own.sock'); print('served')\"",
        OWN_SOCKETS,
    ),
    cannot(
        "python: a multiprocessing manager",
        "bash",
        "cat > manager.py <<'E'\nfrom multiprocessing import Manager\nif __name__ == '__main__':\n    with Manager() as manager: manager.list([1]); print('served')\nE\ntimeout 10 python3 manager.py",
        OWN_SOCKETS,
    ),
    cannot(
        "name resolution without the proxy",
        "bash",
        "getent hosts example.com >/dev/null && echo served",
        "only the proxy resolves names",
    ),
    cannot(
        "ping",
        "bash",
        "ping -c1 -W1 127.0.0.1 >/dev/null && echo served",
        "raw sockets are blocked",
    ),
    cannot(
        "sudo, su and other set-uid programs",
        "bash",
        "su -s /bin/true nobody && echo served || sudo -n true && echo served",
        "set-uid programs run with the caller's rights",
    ),
    cannot(
        "debuggers and strace",
        "bash",
        "python3 -c \"import ctypes; print('served' if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0 else '')\"",
        "tracing is blocked",
    ),
];

async fn failure(session: &Session, operation: &Operation, site: &str) -> Option<String> {
    let code = operation.code.replace("SITE", site);
    let execution = session.run_for(operation.language, &code, 40).await;
    let last = execution.stdout.trim().lines().last().unwrap_or_default();
    let is_right = match operation.outcome {
        Ok(expected) => last == expected && execution.exit_code == 0,
        Err(_) => last != "served",
    };
    (!is_right).then(|| {
        format!(
            "{} ({:?}): {execution:?}",
            operation.what, operation.outcome
        )
    })
}

/// Runs all operations at a level and asserts that each has its expected outcome.
pub async fn ordinary_code_works(level: Level) {
    let site = Site::start().await;
    let origin = site.url("");
    let permitted = origin.trim_start_matches("http://").to_owned();
    let server = level
        .server()
        .setting("HEARTH_EGRESS_ALLOW", &permitted)
        .start()
        .await;
    let session = server.session().await;
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        wrong.extend(failure(&session, operation, &origin).await);
    }
    server.stop().await;
    assert!(
        wrong.is_empty(),
        "{} operations have unexpected outcomes at {}\n{}",
        wrong.len(),
        level.title(),
        wrong.join("\n")
    );
}

fn table() -> String {
    let mut notes: Vec<&str> = Vec::new();
    let mut table = "| operation | at `default` |\n|---|---|\n".to_owned();
    for operation in OPERATIONS {
        let cell = match operation.outcome {
            Ok(_) => "works".to_owned(),
            Err(why) => {
                let known = notes.iter().position(|known| *known == why);
                let index = known.unwrap_or_else(|| {
                    notes.push(why);
                    notes.len() - 1
                });
                format!("does not work ({})", index + 1)
            }
        };
        writeln!(table, "| {} | {cell} |", operation.what).unwrap();
    }
    for (index, note) in notes.iter().enumerate() {
        let lead = if index == 0 { "\n" } else { "" };
        writeln!(table, "{lead}{}. {note}.", index + 1).unwrap();
    }
    table
}

#[test]
fn what_keeps_working_is_documented() {
    assert_section("docs/SECURITY.md", "ordinary", &table());
}
