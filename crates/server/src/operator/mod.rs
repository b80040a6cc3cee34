//! What the browser of an operator runs. What it asks for is in `handlers/operator`.

pub(crate) mod page;
