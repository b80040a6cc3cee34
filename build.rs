//! Links `hearth` at a fixed address, which saves memory in shims (docs/adr/0019).

#![forbid(unsafe_code)]

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes the target in the environment"
)]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // A static position-independent executable has different startup code, which does not support
    // the option.
    if target("ENV") == "gnu"
        && !target("FEATURE")
            .split(',')
            .any(|feature| feature == "crt-static")
    {
        // Otherwise, each process fills in address tables at startup. They take 330 KiB of private
        // memory, which a shim never reads.
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
