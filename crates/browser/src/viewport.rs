//! The size of pages and pictures.

/// The size of every page, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewport {
    /// Of `window.innerWidth`.
    pub width: u32,
    /// Of `window.innerHeight`.
    pub height: u32,
}

impl Default for Viewport {
    fn default() -> Viewport {
        Viewport {
            width: 1280,
            height: 720,
        }
    }
}
