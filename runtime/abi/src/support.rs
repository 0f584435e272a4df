//! The support unit: thread pool, weights files and what stands behind the C interface.

/// Its object code for this machine's architecture and system, position independent.
pub static SUPPORT_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/support.o"));

/// The tables that compiled code must provide, as C declares them.
pub static SUPPORT_HEADER: &str = include_str!("../support/support.h");

/// All files, by name, for compiling it for another system: `support.c` includes the others.
pub static SUPPORT_SOURCES: &[(&str, &str)] = &[
    ("support.h", SUPPORT_HEADER),
    ("support.c", include_str!("../support/support.c")),
    ("features.c", include_str!("../support/features.c")),
    ("pool.c", include_str!("../support/pool.c")),
    ("safetensors.c", include_str!("../support/safetensors.c")),
    ("model.c", include_str!("../support/model.c")),
];
