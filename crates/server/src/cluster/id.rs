//! The ids of sessions, which contain the number of their node.
//!
//! An id is a UUID of version 7: 48 bits of time, the version, 12 bits with the number of the node,
//! the variant, and 62 random bits. The number is a hint, because numbers are reused. Ids are not
//! secrets.

use uuid::{Builder, Uuid};

use crate::clock;

/// The maximum number of a node.
const MAX_NODE_NUMBER: u16 = 0xfff;

/// Returns a new id for a session of the node with this number, which is 1 to 4095.
pub(crate) fn session_id(number: u16) -> Result<Uuid, getrandom::Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)?;
    // The four upper bits become the version.
    bytes[..2].copy_from_slice(&(number & MAX_NODE_NUMBER).to_be_bytes());
    let milliseconds = u64::try_from(clock::now().as_millisecond()).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid())
}

/// Returns the number of the node in a session's id. Returns none for an id that no node creates.
pub(crate) fn node_number(id: Uuid) -> Option<u16> {
    if id.get_version_num() != 7 {
        return None;
    }
    let bytes = id.as_bytes();
    let number = u16::from_be_bytes([bytes[6], bytes[7]]) & MAX_NODE_NUMBER;
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Variant;

    use super::*;

    #[test]
    fn an_id_names_its_node_and_is_a_valid_uuid() {
        for number in [1, 2, 0xff, 0x100, MAX_NODE_NUMBER] {
            let id = session_id(number).expect("random numbers");
            assert_eq!(node_number(id), Some(number));
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, Variant::RFC4122)
            );
            let group = id.to_string();
            let group = group.split('-').nth(2).expect("the third group");
            assert_eq!(
                group,
                format!("7{number:03x}"),
                "a proxy can read the number"
            );
        }
    }

    #[test]
    fn ids_of_one_node_are_unique_and_in_the_order_of_time() {
        let ids: Vec<Uuid> = (0..1_000)
            .map(|_| session_id(7).expect("random numbers"))
            .collect();
        let unique: HashSet<&Uuid> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        let times: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..6]).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn other_ids_name_no_node() {
        let with_zero = Builder::from_unix_timestamp_millis(1, &[0; 10]).into_uuid();
        assert_eq!(node_number(with_zero), None);
        let random = Builder::from_random_bytes([0xff; 16]).into_uuid();
        assert_eq!(node_number(random), None, "version 4");
        assert_eq!(node_number(Uuid::nil()), None);
    }
}
