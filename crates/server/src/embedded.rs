//! Web pages that are compiled into the executable.

/// An HTML page and the files that it loads.
#[derive(Debug)]
pub(crate) struct Page {
    pub html: &'static str,
    pub assets: &'static [Asset],
}

/// A script or a stylesheet.
#[derive(Debug)]
pub(crate) struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub text: &'static str,
}

impl Asset {
    pub const fn script(name: &'static str, text: &'static str) -> Asset {
        Asset {
            name,
            content_type: "text/javascript; charset=utf-8",
            text,
        }
    }

    pub const fn style(name: &'static str, text: &'static str) -> Asset {
        Asset {
            name,
            content_type: "text/css; charset=utf-8",
            text,
        }
    }
}
