//! Links `hearth` at a fixed address, for the sake of the shims.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // An executable that can be loaded anywhere has its tables of addresses filled in at each start: 330 KiB of memory
    // of its own for every shim, and half a millisecond. docs/adr/ has the page on it.
    println!("cargo:rustc-link-arg-bins=-no-pie");
}
