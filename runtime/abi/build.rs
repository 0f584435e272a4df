//! Compiles the support unit, which artifacts carry, with the system's C compiler.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=support");
    let objects = cc::Build::new()
        .file("support/support.c")
        .opt_level(2)
        .debug(false)
        .pic(true)
        .warnings(true)
        .extra_warnings(true)
        .flag("-std=c99")
        .flag("-fvisibility=hidden")
        .flag("-pthread")
        // The same bytes wherever the sources lie.
        .flag("-ffile-prefix-map=support=support")
        .try_compile_intermediates()
        .map_err(|fault| io::Error::other(fault.to_string()))?;
    let [object] = objects.as_slice() else {
        return Err(io::Error::other("one source gives one object"));
    };
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::copy(object, PathBuf::from(out).join("support.o"))?;
    Ok(())
}
