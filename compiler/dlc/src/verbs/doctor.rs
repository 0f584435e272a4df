//! `dlc doctor`: what this machine offers.

use crate::{arguments::TextOrJson, cx::Cx, fault::Fault, output};
use clap::Args;
use serde_json::{Value, json};
use std::{env, fs, path::Path, process::Command};

/// Show what this machine offers to compiled models
#[derive(Args)]
#[command(after_help = "Examples:\n  dlc doctor\n  dlc doctor --format json")]
pub struct Arguments {
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
}

/// Features of processors that change what code is made.
const NOTABLE: &[&str] =
    &["sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bf16", "amx-tile", "neon", "sve"];

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let target = llvm::Target::native();
    let has = |name: &str| target.features.split(',').any(|feature| feature.strip_prefix('+') == Some(name));
    let features: Vec<&str> = NOTABLE.iter().copied().filter(|name| has(name)).collect();
    let caches = caches();
    let linker = linker();
    let cache = cx.cache.folder().map(|folder| folder.display().to_string());
    let page = json!({
        "dlc": driver::VERSION,
        "llvm": llvm::version(),
        "target": target.triple,
        "cpu": target.cpu,
        "features": features,
        "vector_bits": target.vector_bits,
        "fma": target.fma,
        "threads": exec::default_threads(),
        "caches": caches,
        "memory_bytes": memory(),
        "linker": linker,
        "object_cache": cache,
        "gpu": Value::Null,
    });
    match arguments.format {
        TextOrJson::Json => output::json(&page),
        TextOrJson::Human => {
            let caches: Vec<String> = caches
                .iter()
                .map(|cache| {
                    format!(
                        "{} {}",
                        cache["name"].as_str().unwrap_or(""),
                        cache["size"].as_str().unwrap_or("")
                    )
                })
                .collect();
            let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_string());
            let lines = [
                ("dlc", format!("{}, LLVM {}", driver::VERSION, llvm::version())),
                ("processor", format!("{} ({})", target.cpu, target.triple)),
                ("features", features.join(" ")),
                (
                    "vectors",
                    format!(
                        "{} bits{}",
                        target.vector_bits,
                        if target.fma { ", fused multiply-add" } else { "" }
                    ),
                ),
                ("threads", exec::default_threads().to_string()),
                ("caches", if caches.is_empty() { "not known".into() } else { caches.join(", ") }),
                (
                    "memory",
                    or(memory().map(|bytes| format!("{:.1} GiB", bytes as f64 / 1073741824.0)), "not known"),
                ),
                ("linker", or(linker, "none found: `compile` cannot make shared libraries")),
                ("object cache", or(cache, "off")),
                ("gpu", "not supported yet".into()),
            ];
            let text: String = lines.iter().map(|(what, found)| format!("{what:<14}{found}\n")).collect();
            output::print(&text)
        }
    }
}

/// Sizes of the first processor's caches, as Linux tells them.
fn caches() -> Vec<Value> {
    let read = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim().to_string());
    let caches = (0..8).filter_map(|index| {
        let folder = Path::new("/sys/devices/system/cpu/cpu0/cache").join(format!("index{index}"));
        let (level, kind) = (read(&folder.join("level"))?, read(&folder.join("type"))?);
        let suffix = match kind.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some(json!({ "name": format!("L{level}{suffix}"), "size": read(&folder.join("size"))? }))
    });
    caches.collect()
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The compiler that links shared libraries, where it answers.
fn linker() -> Option<String> {
    let name = env::var("CC").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "cc".into());
    let output =
        Command::new(&name).arg("--version").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or(&name).to_string())
}
