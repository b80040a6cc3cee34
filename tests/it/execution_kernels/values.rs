//! Results: values, stdout and stderr.

use hearth_test_support::TestServer;
use serde_json::json;

#[tokio::test]
async fn the_value_of_the_last_expression_is_the_result() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "1 + 1", "2"),
        ("node", "'text'", "text"),
        ("node", "'two\\nlines\\n'", "two\nlines\n"),
        ("node", "''", ""),
        ("node", "true", "true"),
        ("node", "null", "null"),
        ("node", "0.5", "0.5"),
        ("node", "await Promise.resolve('awaited')", "awaited"),
        ("node", "const x = 4; x * 2", "8"),
        ("node", "({a: 1}).a // a comment", "1"),
        // Values without a JSON form have node's own form.
        ("node", "10n", "10n"),
        ("node", "NaN", "NaN"),
        ("node", "Infinity", "Infinity"),
        ("node", "Symbol('s')", "Symbol(s)"),
        ("node", "new Map([[1, 2]])", "Map(1) { 1 => 2 }"),
        ("node", "new Set(['a'])", "Set(1) { 'a' }"),
        ("node", "/re/g", "/re/g"),
        ("node", "(function name() {})", "[Function: name]"),
        (
            "node",
            "const circle = {a: 1}; circle.self = circle; circle",
            "<ref *1> { a: 1, self: [Circular *1] }",
        ),
        ("python", "1 + 1", "2"),
        ("python", "'text'", "text"),
        ("python", "'two\\nlines\\n'", "two\nlines\n"),
        ("python", "''", ""),
        ("python", "True", "true"),
        ("python", "0.5", "0.5"),
        (
            "python",
            "import asyncio\nawait asyncio.sleep(0, 'awaited')",
            "awaited",
        ),
        ("python", "x = 4\nx * 2", "8"),
        ("python", "{'a': 1}['a']  # a comment", "1"),
        // Values without a JSON form have python's own form.
        ("python", "float('nan')", "nan"),
        ("python", "1 + 2j", "(1+2j)"),
        ("python", "{1}", "{1}"),
        (
            "python",
            "circle = [1]\ncircle.append(circle)\ncircle",
            "[1, [...]]",
        ),
        (
            "python",
            "ValueError('as a value')",
            "ValueError('as a value')",
        ),
        ("python", "range(3)", "range(0, 3)"),
    ];
    for (language, code, expected) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.result.as_str(), execution.stdout.as_str()),
            (expected, ""),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn objects_and_lists_are_shown_as_json() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "({title: 'x', tags: ['a', null], deep: {n: 1.5}})",
            json!({"title": "x", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("node", "[1, 'two', [3]]", json!([1, "two", [3]])),
        ("node", "[]", json!([])),
        (
            "node",
            "await page.evaluate(() => ({width: 3, list: [1]}))",
            json!({"width": 3, "list": [1]}),
        ),
        (
            "python",
            "{'title': 'ü', 'tags': ['a', None], 'deep': {'n': 1.5}}",
            json!({"title": "ü", "tags": ["a", null], "deep": {"n": 1.5}}),
        ),
        ("python", "[1, 'two', [3]]", json!([1, "two", [3]])),
        (
            "python",
            "await page.evaluate('() => ({width: 3, list: [1]})')",
            json!({"width": 3, "list": [1]}),
        ),
    ];
    for (language, code, expected) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(execution.json(), expected, "{language}: {code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_value_the_result_is_stdout_less_its_last_newline() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('a'); console.log('b')",
            "a\nb\n",
            "a\nb",
        ),
        ("node", "console.log('a'); undefined", "a\n", "a"),
        ("node", "const y = 1", "", ""),
        (
            "node",
            "process.stdout.write('no newline'); void 0",
            "no newline",
            "no newline",
        ),
        ("node", "// nothing", "", ""),
        ("node", "console.log('printed'); 5", "printed\n", "5"),
        ("python", "print('a')\nprint('b')", "a\nb\n", "a\nb"),
        ("python", "print('a')\nNone", "a\n", "a"),
        ("python", "y = 1", "", ""),
        (
            "python",
            "print('no newline', end='')",
            "no newline",
            "no newline",
        ),
        ("python", "# nothing", "", ""),
        ("python", "print('printed')\n5", "printed\n", "5"),
    ];
    for (language, code, stdout, result) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (stdout, result),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_status_of_a_write_does_not_replace_the_output() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "process.stdout.write('text\\n')"),
        ("node", "await process.stdout.write('text\\n')"),
        ("node", "require('node:fs').writeSync(1, 'text\\n')"),
        (
            "node",
            "require('node:child_process').execSync('echo text', {stdio: 'inherit'})",
        ),
        ("python", "import sys\nsys.stdout.write('text\\n')"),
        ("python", "sys.stdout.buffer.write(b'text\\n')"),
        ("python", "import os\nos.write(1, b'text\\n')"),
        ("python", "os.system('echo text')"),
        ("python", "from os import system as run\nrun('echo text')"),
        (
            "python",
            "import subprocess\nsubprocess.call(['echo', 'text'])",
        ),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            ("text\n", "text"),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn bytes_are_base64_also_inside_of_other_values() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "Buffer.from('bytes')", "Ynl0ZXM="),
        ("node", "new Uint8Array([1, 2])", "AQI="),
        ("node", "new Uint8Array([1, 2]).buffer", "AQI="),
        (
            "node",
            "({data: Buffer.from('bytes'), list: [new Uint8Array([1, 2])]})",
            "{\"data\":\"Ynl0ZXM=\",\"list\":[\"AQI=\"]}",
        ),
        // Also beside a value without a JSON form, and in values without one.
        (
            "node",
            "({data: Buffer.from('bytes'), ratio: 0 / 0})",
            "{ data: 'Ynl0ZXM=', ratio: NaN }",
        ),
        (
            "node",
            "new Map([['data', new Uint8Array([1, 2]).buffer]])",
            "Map(1) { 'data' => 'AQI=' }",
        ),
        (
            "node",
            "(new class Shot { data = new Uint8Array([1, 2]) })",
            "Shot { data: 'AQI=' }",
        ),
        (
            "node",
            "require('node:util').inspect(Buffer.from('a'))",
            "<Buffer 61>",
        ),
        ("python", "b'bytes'", "Ynl0ZXM="),
        ("python", "bytearray(b'bytes')", "Ynl0ZXM="),
        (
            "python",
            "{'data': b'bytes', 'list': [memoryview(b'a')]}",
            "{\"data\":\"Ynl0ZXM=\",\"list\":[\"YQ==\"]}",
        ),
        // Containers with values that have no JSON form are shown in Python's notation.
        (
            "python",
            "import datetime\n{'png': b'bytes', 'at': datetime.date(2020, 1, 1)}",
            "{'png': 'Ynl0ZXM=', 'at': datetime.date(2020, 1, 1)}",
        ),
        (
            "python",
            "{('tuple', 'key'): [b'bytes'], 'ratio': float('nan')}",
            "{('tuple', 'key'): ['Ynl0ZXM='], 'ratio': nan}",
        ),
        ("python", "{b'bytes'}", "{'Ynl0ZXM='}"),
        ("python", "(b'bytes', [1])", "[\"Ynl0ZXM=\",[1]]"),
        ("python", "{'deep': ({b'a'},)}", "{'deep': ({'YQ=='},)}"),
        (
            "node",
            "[[Buffer.from('a')], new Set([Buffer.from('a')])]",
            "[ [ 'YQ==' ], Set(1) { 'YQ==' } ]",
        ),
        (
            "python",
            "circle = [b'bytes', (1,)]\ncircle.append((circle,))\ncircle",
            "['Ynl0ZXM=', (1,), ([...],)]",
        ),
    ];
    for (language, code, expected) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(execution.result, expected, "{language}: {code}");
    }
    for language in ["node", "python"] {
        let execution = session.run(language, "await page.screenshot()").await.ok();
        let start = execution.result.get(..8);
        assert_eq!(start, Some("iVBORw0K"), "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn stdout_and_stderr_are_kept_apart() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('out'); console.error('err'); undefined",
        ),
        (
            "python",
            "import sys\nprint('out')\nprint('err', file=sys.stderr)",
        ),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("out\n", "err\n"),
            "{language}"
        );
    }
    server.stop().await;
}
