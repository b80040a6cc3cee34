//! The parts of a body that its parser keeps.

pub(crate) const NONE: Schema = Schema::Fields(&[]);

/// The parts of a value that are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema {
    /// Scalars, and these members of an object.
    Fields(&'static [(&'static str, Schema)]),
    /// Scalars, these members of an object, and the names of its other members, which are errors.
    Closed(&'static [(&'static str, Schema)]),
    /// Scalars, and the elements of an array: at most one more than this number, so that a longer
    /// array can be rejected.
    Elements(&'static Schema, usize),
    /// Scalars, and the members of an object with any names: at most one more than this number.
    Entries(usize),
}

impl Schema {
    /// Returns the members of an object that are kept.
    pub(crate) const fn members(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Fields(members) | Self::Closed(members) => members,
            Self::Elements(..) | Self::Entries(_) => &[],
        }
    }
}
