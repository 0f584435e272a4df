//! Results as `dlc bench` writes them, all invented: nothing here was measured.

use serde_json::{Value, json};

pub const MODELS: [(&str, f64); 12] = [
    ("mlp", 4e-5),
    ("tabular", 2e-6),
    ("lenet", 6e-5),
    ("resnet18", 5e-3),
    ("resnet50", 4.5e-2),
    ("mobilenet_v2", 6e-3),
    ("vit_s", 4.6e-2),
    ("minilm", 2.2e-2),
    ("gpt2", 2.1e-1),
    ("lstm", 3e-3),
    ("vae", 9e-5),
    ("hydranet", 7e-3),
];

/// Name and how its times relate to ours.
pub const ARMS: [(&str, f64); 19] = [
    ("dlc", 1.0),
    ("dlc-aot", 0.98),
    ("dlc-graph", 1.7),
    ("dlc-eager", 2.3),
    ("pytorch", 1.6),
    ("pytorch-compiled", 1.15),
    ("torchscript", 1.4),
    ("lightning", 1.9),
    ("keras-tf", 2.2),
    ("keras-tf-xla", 1.8),
    ("keras-jax", 1.5),
    ("keras-torch", 2.0),
    ("flax", 1.3),
    ("onnxruntime", 1.02),
    ("openvino", 0.95),
    ("iree", 2.8),
    ("tvm", 1.0),
    ("tract", 3.1),
    ("candle", 3.3),
];

/// Numbers that look drawn at random, the same each time.
pub struct Draw(u64);

impl Draw {
    pub fn new() -> Draw {
        Draw(5)
    }

    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

pub fn environment(machine: &str) -> Value {
    json!({
        "kind": "environment", "machine": machine, "date": "2026-01-02T03:04:05Z", "cpu": "Invented CPU 9000", "cores": 2,
        "flags": ["avx2", "fma", "avx512f"], "caches": {"L1 data": "48K", "L2": "1024K"}, "memory_bytes": 25276510208u64,
        "kernel": "6.0-invented", "governor": null, "virtual": true, "load": [0.1, 0.2, 0.3],
        "versions": {"dlc": "0.1.0", "torch": "2.15.0"}, "commit": "0123456789ab", "seed": 1,
        "peaks": {"gflops": {"1": 210.0, "2": 400.0}, "copy_gbs": {"1": 18.0, "2": 25.0}},
    })
}

pub fn arm(
    arm: &str,
    model: &str,
    mode: &str,
    batch: u64,
    threads: u64,
    seconds: f64,
    draw: &mut Draw,
) -> Value {
    let samples: Vec<f64> =
        (0..60).map(|_| seconds * (0.985 + 0.03 * draw.share() + 0.1 * draw.share().powi(20))).collect();
    let compiled = arm.contains("compiled") || arm.contains("xla") || arm == "iree" || arm == "tvm";
    let compile = if compiled { 6.0 + 10.0 * draw.share() } else { 0.05 * draw.share() };
    let import = if arm.starts_with("dlc") { 0.004 } else { 0.8 + 2.0 * draw.share() };
    let warm: Vec<f64> = (0..80)
        .map(|call| seconds * (1.0 + 8.0 / f64::from(call + 1).powi(2) + 0.02 * draw.share()))
        .collect();
    json!({
        "kind": "arm", "arm": arm, "framework": arm, "version": "1.2.3", "model": model, "mode": mode, "batch": batch,
        "sizes": {}, "threads": threads, "precision": "f32", "style": null, "median_s": seconds,
        "ci95_s": [seconds * 0.99, seconds * 1.012], "n": 600, "processes": 3,
        "process_medians_s": [seconds * 0.995, seconds, seconds * 1.006], "samples_s": samples,
        "p50_s": seconds, "p90_s": seconds * 1.03, "p95_s": seconds * 1.05, "p99_s": seconds * 1.2,
        "first_s": import + compile + seconds * 9.0 + 0.01, "import_s": import, "compile_s": compile, "warm_up_s": warm,
        "peak_bytes": 5e7 + (if arm.starts_with("dlc") { 0.0 } else { 3e8 }) + 2e8 * draw.share(), "correct": true,
        "max_error": 1e-6 * (1.0 + 9.0 * draw.share()), "max_relative": 1e-7, "argmax_agreement": 1.0,
        "threads_seen": threads, "dtype_seen": "float32", "flops": seconds * 3e10, "bytes": seconds * 2e9,
        "steal": 0.001, "others": 0.01, "redone": 0, "machine": "invented", "commit": "0123456789ab",
        "command": format!("dlc bench --models {model} --mode {mode} --against {arm} --batch {batch} --threads {threads}"),
        "status": "ok", "why": null,
    })
}

/// As large as a whole run.
pub fn whole() -> String {
    let mut draw = Draw::new();
    let mut lines = vec![environment("invented")];
    for (model, base) in MODELS {
        for (mode, batch, threads) in [
            ("infer", 1, 1),
            ("infer", 1, 2),
            ("infer", 8, 1),
            ("infer", 8, 2),
            ("train", 32, 1),
            ("train", 32, 2),
        ] {
            lines.push(
                json!({"kind": "floor", "model": model, "mode": mode, "batch": batch, "threads": threads,
                "spread": 0.01 + 0.02 * draw.share(), "of": "dlc against dlc"}),
            );
            let work = base * (batch as f64).powf(0.9) * if mode == "train" { 3.0 } else { 1.0 };
            let work = work / (threads as f64).powf(0.8);
            for (name, slower) in ARMS {
                let seconds = work * slower * (0.75 + 0.5 * draw.share());
                let mut line = arm(name, model, mode, batch, threads, seconds, &mut draw);
                if mode == "train" && ["onnxruntime", "openvino", "tract"].contains(&name) {
                    line = json!({"kind": "arm", "arm": name, "model": model, "mode": mode, "batch": batch, "threads": threads,
                        "status": "cannot", "why": format!("{name} does not train"), "machine": "invented"});
                } else if name == "tvm" {
                    line = json!({"kind": "arm", "arm": name, "model": model, "mode": mode, "batch": batch, "threads": threads,
                        "status": "missing", "why": "the package tvm is not there", "install": "pip install apache-tvm", "machine": "invented"});
                } else if name == "candle" && model == "gpt2" {
                    line["correct"] = json!(false);
                    line["max_error"] = json!(0.37);
                } else if name == "iree" && threads == 1 && model == "vit_s" {
                    line["threads_seen"] = json!(2);
                } else if name == "tract" && model == "vae" {
                    line["flops"] = json!(seconds * 1e13);
                }
                lines.push(line);
            }
        }
    }
    for batch in [2, 4, 16, 32, 64] {
        for (name, slower) in ARMS {
            let seconds = 4e-5 * slower * f64::from(batch).powf(0.85) * (0.9 + 0.2 * draw.share());
            lines.push(arm(name, "mlp", "infer", batch as u64, 1, seconds, &mut draw));
        }
    }
    for length in [16, 32, 64, 128, 256] {
        for (name, slower) in ARMS.into_iter().take(9) {
            let seconds = 2e-4 * slower * f64::from(length).powf(1.1) * (0.9 + 0.2 * draw.share());
            let mut line = arm(name, "minilm", "infer", 1, 1, seconds, &mut draw);
            line["sizes"] = json!({"seq": length});
            lines.push(line);
        }
    }
    for (name, slower) in ARMS.into_iter().skip(4).step_by(3).chain([ARMS[0]]) {
        for load in [30, 50, 70, 90] {
            let waiting = 1.0 / (1.0 - f64::from(load) / 100.0);
            let mut line = arm(name, "lenet", "server", 1, 1, 6e-5 * slower * waiting, &mut draw);
            line["sizes"] = json!({"load_percent": load});
            lines.push(line);
        }
    }
    for (name, slower) in
        ARMS.into_iter().filter(|(name, _)| ["dlc", "pytorch", "keras-tf", "flax"].contains(name))
    {
        let epochs = 1..=30;
        lines.push(json!({"kind": "curve", "arm": name, "model": "digits",
            "seconds": epochs.clone().map(|epoch| f64::from(epoch) * slower * 0.4).collect::<Vec<_>>(),
            "loss": epochs.clone().map(|epoch| 2.3 * (-0.2 * f64::from(epoch)).exp() + 0.03 + 0.01 * draw.share()).collect::<Vec<_>>(),
            "accuracy": epochs.map(|epoch| 1.0 - 0.9 * (-0.25 * f64::from(epoch)).exp() - 0.01 * draw.share()).collect::<Vec<_>>()}));
        lines.push(json!({"kind": "facts", "arm": name, "install_bytes": 4e8 * slower, "artifact_bytes": 1e6 * slower,
            "model_lines": {"mlp": 12, "lenet": 30}, "dynamic_sizes": name == "dlc", "needs_python": name != "dlc"}));
    }
    for index in 0..40u32 {
        let flops = 1e6 * f64::from(1 << (index % 10)) * (0.5 + draw.share());
        let bytes = flops / (0.2 * f64::from(1 << (index % 8)));
        let seconds = (flops / 2.1e11).max(bytes / 1.8e10) / (0.4 + 0.55 * draw.share());
        lines.push(json!({"kind": "kernel", "model": "resnet18", "mode": "infer", "batch": 1, "threads": 1,
            "kernel": format!("conv_{index}"), "line": format!("resnet.model:{}", 10 + index / 2), "seconds": seconds,
            "flops": flops, "bytes": bytes}));
    }
    for commit in 0..12 {
        let median = if commit < 7 { 2e-3 } else { 1.6e-3 } * (0.99 + 0.02 * draw.share());
        lines.push(json!({"kind": "compiler", "bench": "parse/resnet", "median_s": median,
            "ci95_s": [median * 0.99, median * 1.01], "commit": format!("c0ffee{commit:02}"), "date": format!("2026-01-{:02}", commit + 1)}));
    }
    text(&lines)
}

pub fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
