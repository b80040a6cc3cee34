//! Links `hearth` at a fixed address, for the sake of the shims (docs/adr/0019).

#![forbid(unsafe_code)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // A static executable that can be loaded anywhere has different start-up code, which does not
    // take the option.
    if target("ENV") == "gnu"
        && !target("FEATURE")
            .split(',')
            .any(|feature| feature == "crt-static")
    {
        // Otherwise each start fills in tables of addresses: 330 KiB that a shim has for itself and
        // never reads.
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
