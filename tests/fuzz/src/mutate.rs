//! Mutates an input on the level of bytes.

use std::ops::Range;

use crate::{Result, Unstructured};

/// The maximum number of changes of one input.
const MAX_CHANGES: usize = 6;

/// The maximum size of a part that is removed, repeated or inserted.
const MAX_PART_BYTES: usize = 64;

/// Bytes that formats give a meaning to.
const BYTES: &[u8] = b"\0\x01\x7f\x80\xc0\xff\t\r\n \"'\\/.:;,-+%@#?=&()[]{}<>0aA";

/// Numbers at the limits of types.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1e400",
    "007",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "18446744073709551616",
    "0.1",
];

/// Changes `input` in a few places. `other` is another input, from which a part may come.
pub(crate) fn mutate(
    random: &mut Unstructured<'_>,
    input: &mut Vec<u8>,
    other: &[u8],
    words: &[&str],
) -> Result<()> {
    for _ in 0..random.int_in_range(1..=MAX_CHANGES)? {
        let at = random.int_in_range(0..=input.len())?;
        let part = part_of(random, input.len())?;
        match random.int_in_range(0..=8)? {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.int_in_range(0..=7)?;
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = *random.choose(BYTES)?;
                }
            }
            2 => insert(input, at, &[*random.choose(BYTES)?]),
            3 => drop(input.drain(part)),
            4 => {
                let copy = input[part].to_vec();
                insert(input, at, &copy);
            }
            5 => {
                let copy = input[part].repeat(random.int_in_range(2..=100)?);
                insert(input, at, &copy);
            }
            6 => {
                let copy = &other[part_of(random, other.len())?];
                insert(input, at, copy);
            }
            7 if !words.is_empty() => insert(input, at, random.choose(words)?.as_bytes()),
            _ => {
                let number = random.choose(NUMBERS)?.as_bytes();
                let digits = digits_from(input, at);
                input.splice(digits, number.iter().copied());
            }
        }
    }
    Ok(())
}

fn part_of(random: &mut Unstructured<'_>, length: usize) -> Result<Range<usize>> {
    let start = random.int_in_range(0..=length)?;
    let bytes = random.int_in_range(0..=MAX_PART_BYTES.min(length - start))?;
    Ok(start..start + bytes)
}

fn insert(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    input.splice(at..at, part.iter().copied());
}

/// Returns the next number at or after `at`, or else the empty range at the end.
fn digits_from(input: &[u8], at: usize) -> Range<usize> {
    let length_of = |bytes: &[u8], are_digits: bool| {
        let is_part = |byte: &&u8| byte.is_ascii_digit() == are_digits;
        bytes.iter().take_while(is_part).count()
    };
    let start = at + length_of(&input[at..], false);
    start..start + length_of(&input[start..], true)
}
