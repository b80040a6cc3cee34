//! Decodes parts of a text.

/// Returns the length of `bytes` without an incomplete last character.
pub(crate) fn complete_len(bytes: &[u8]) -> usize {
    // A character has at most four bytes.
    let last = bytes.len().saturating_sub(3)..bytes.len();
    let is_incomplete = |start: &usize| {
        let end = std::str::from_utf8(&bytes[*start..]);
        end.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    last.into_iter().find(is_incomplete).unwrap_or(bytes.len())
}

/// Returns the size of the text of `bytes`, in which invalid sequences are replaced.
pub(crate) fn lossy_len(bytes: &[u8]) -> usize {
    let replaced = |invalid: &[u8]| {
        if invalid.is_empty() {
            0
        } else {
            char::REPLACEMENT_CHARACTER.len_utf8()
        }
    };
    bytes
        .utf8_chunks()
        .map(|chunk| chunk.valid().len() + replaced(chunk.invalid()))
        .sum()
}

/// Returns the text of `bytes`, in which invalid sequences are replaced.
pub(crate) fn to_string_lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_incomplete_last_character_is_left_out() {
        let cases: [(&[u8], usize); 8] = [
            (b"", 0),
            (b"ab", 2),
            ("é😀".as_bytes(), 6),
            (&"é😀".as_bytes()[..5], 2),
            (&"é😀".as_bytes()[..1], 0),
            // An invalid byte before it does not matter.
            (b"\xff\xf0\x9f", 1),
            // Neither of these can become a character.
            (b"a\xff", 2),
            (b"a\x9f\x9f\x9f", 4),
        ];
        for (bytes, complete) in cases {
            assert_eq!(complete_len(bytes), complete, "{bytes:?}");
        }
    }

    /// The text of a whole is the text of its parts, if no part ends in a character.
    #[test]
    fn parts_have_the_text_of_the_whole() {
        let whole = b"a\xf0\x9f\x98\x80\xff\xf0\x9fb\xe2\x82\xac\xe2\x82";
        for split in 0..=whole.len() {
            let split = complete_len(&whole[..split]);
            let parts = [&whole[..split], &whole[split..]];
            let texts = parts.map(|part| to_string_lossy(part.to_vec()));
            assert_eq!(texts.concat(), to_string_lossy(whole.to_vec()), "{split}");
            assert_eq!(texts[0].len(), lossy_len(parts[0]), "{split}");
        }
    }
}
