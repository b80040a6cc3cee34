//! The keys and targets of rows.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_key_is_unique_and_every_target_names_a_row() {
    let keys: BTreeSet<&str> = ROWS.iter().map(|row| row.key).collect();
    assert_eq!(keys.len(), ROWS.len());
    for row in ROWS {
        if let Some(Target::Above(other, _) | Target::Times(other, _)) = row.target {
            let other = Row::find(other).expect("a row");
            assert_eq!(
                (other.group, other.unit),
                (row.group, row.unit),
                "{}",
                row.key
            );
        }
    }
}

#[test]
fn every_group_has_rows() {
    for group in Group::ALL {
        assert!(ROWS.iter().any(|row| row.group == *group), "{group:?}");
    }
}
