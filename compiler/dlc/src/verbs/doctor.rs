//! `dlc doctor`: what this machine offers.

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    output,
};
use clap::Args;
use driver::{NoFiles, Session, Trace};
use exec::{Arena, Dims};
use serde_json::{Value, json};
use std::{env, fs, path::Path, process::Command, time::Instant};
use tensor::{DType, Tensor};

/// Show what this machine offers to compiled models
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc doctor\n  dlc doctor --measure --threads 1\n  dlc doctor --format json"
)]
pub struct Arguments {
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
    /// Also time a matrix product and a copy, compiled for this machine
    #[arg(long)]
    measure: bool,
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
    let measured = if arguments.measure { Some(measure(cx)?) } else { None };
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
        "measured": measured.as_ref().map(|measured| json!({
            "threads": measured.threads,
            "matrix_product_gflops": measured.product,
            "copy_gigabytes_per_second": measured.copy,
        })),
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
            let mut text: String = lines.iter().map(|(what, found)| format!("{what:<14}{found}\n")).collect();
            if let Some(measured) = measured {
                let Measured { threads, product, copy } = measured;
                text += &format!(
                    "{:<14}{product:.1} GFLOP/s in a 1024³ matrix product, {threads} threads\n",
                    "speed"
                );
                text += &format!("{:<14}{copy:.1} GB/s read and written together\n", "memory speed");
            }
            output::print(&text)
        }
    }
}

/// Best of several runs of compiled models.
struct Measured {
    threads: usize,
    product: f64,
    copy: f64,
}

const SIZE: usize = 1024;
/// Far beyond the caches: 128 MiB of f32.
const LENGTH: usize = 32 << 20;
const RUNS: usize = 10;

const MODELS: &str = "model Product(a: f32[n, n], b: f32[n, n]) -> (c: f32[n, n]) { c = a @ b }
model Copy(x: f32[n]) -> (y: f32[n]) { y = x + 1 }
";

fn measure(cx: &Cx) -> Result<Measured, Fault> {
    let pool = cx.pool()?;
    let square = Tensor::zeros(DType::F32, [SIZE, SIZE])?;
    let long = Tensor::zeros(DType::F32, [LENGTH])?;
    let session = Session::new("doctor.model", MODELS, &NoFiles, cx.options()?);
    let seconds = |model: &str, args: &[&Tensor]| -> Result<f64, Fault> {
        let (built, _) = session.build(Some(model), false).within(&session)?;
        let entries = Session::entries(&built, &["run"]);
        let compiled =
            session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
        let program = compiled.load().within(&session)?;
        let entry = program.entry("run")?;
        let (mut arena, dims) = (Arena::new(), Dims::new());
        let mut results = entry.call(&mut arena, &pool, args, &dims)?;
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let began = Instant::now();
            entry.call_into(&mut arena, &pool, args, &mut results.iter_mut().collect::<Vec<_>>(), &dims)?;
            best = best.min(began.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let product = 2.0 * (SIZE as f64).powi(3) / seconds("Product", &[&square, &square])? / 1e9;
    let copy = 2.0 * 4.0 * LENGTH as f64 / seconds("Copy", &[&long])? / 1e9;
    Ok(Measured { threads: pool.threads(), product, copy })
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
