//! A fuzz target for the head of a profile's file.

use std::io::{Seek, SeekFrom};

use hearth_fuzz::{Result as Generated, Target, Unstructured, Vocabulary};

use super::*;

const HEADS: Vocabulary = Vocabulary {
    names: &[
        "team",
        "name",
        "version",
        "saved_at_ms",
        "cookies",
        "value",
        "domain",
        "path",
        "secure",
        "httpOnly",
        "expires",
        "sameSite",
        "partitionKey",
    ],
    strings: &[
        "name:shop",
        "p",
        "v",
        "/",
        "a.example",
        "Lax",
        "",
        "\u{1f36a}",
        "\0",
    ],
};

/// Returns a head with the correct length and checksum.
fn with_start(json: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    let digest = Sha256::digest(json);
    [&MAGIC[..], &length.to_le_bytes(), &digest[..], json].concat()
}

fn generate(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let json = if random.ratio(1, 4)? {
        HEADS.object(random)?
    } else {
        let cookie = format!(
            r#"{{"name":"a","value":{},"domain":"a.example","path":"/","secure":true,"httpOnly":false,"expires":{}}}"#,
            HEADS.value(random)?,
            HEADS.value(random)?
        );
        format!(
            r#"{{"team":"name:shop","name":"p","version":{},"saved_at_ms":{},"cookies":[{cookie}]}}"#,
            random.choose(&["\"v\"", "\"\"", "1"])?,
            random.choose(&["0", "-1", "9223372036854775808", "1.5"])?
        )
    };
    Ok(with_start(json.as_bytes()))
}

/// Reads the head of a file, followed by `rest`.
fn check_head(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .expect("written");
    let head = match Head::read(&mut file) {
        Ok(head) => head,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            return;
        }
    };
    let at = file.stream_position().expect("a position");
    let length = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes"));
    assert_eq!(at, 16 + 4 + 32 + u64::from(length), "the rest is unread");
    let mut copy = tempfile::tempfile().expect("a file");
    head.write(&mut copy)
        .and_then(|()| copy.seek(SeekFrom::Start(0)))
        .expect("written");
    assert_eq!(Head::read(&mut copy).expect("it was written here"), head);
}

#[test]
fn heads_are_read_completely_or_rejected() {
    let target = Target {
        name: "profile-head",
        words: &[
            "\"cookies\":[]",
            "\"version\":\"",
            "hearth profile 1",
            "null",
        ],
        inputs: 1000,
        max_bytes: 16 * 1024,
    };
    target.run(generate, |input| {
        check_head(input);
        // Most mutations break the checksum. This repairs it.
        if let Some(json) = input.get(16 + 4 + 32..) {
            check_head(&with_start(json));
        }
    });
}
