//! What a page consists of, in order.

use crate::{invented, page_of};
use expect_test::expect;
use html5ever::{ParseOpts, parse_document, tendril::TendrilSink};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use serde_json::json;

/// Heads, figures with what is told of them, tables, commands.
fn outline(page: &str) -> String {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    let mut lines = String::new();
    collect(&dom.document, &mut lines);
    lines
}

fn collect(handle: &Handle, lines: &mut String) {
    if let NodeData::Element { name, .. } = &handle.data {
        let tag = name.local.to_string();
        let indent = match tag.as_str() {
            "h1" | "h2" | "h3" => "",
            "figcaption" | "caption" => "  ",
            "desc" | "thead" | "pre" => "    ",
            _ => return handle.children.borrow().iter().for_each(|child| collect(child, lines)),
        };
        let mut words = String::new();
        text(handle, &mut words);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        *lines += &format!("{indent}{tag}: {words}\n");
        return;
    }
    handle.children.borrow().iter().for_each(|child| collect(child, lines));
}

fn text(handle: &Handle, words: &mut String) {
    if let NodeData::Text { contents } = &handle.data {
        words.push_str(&contents.borrow());
    }
    for child in handle.children.borrow().iter() {
        text(child, words);
        words.push(' ');
    }
}

#[test]
fn a_small_page() {
    let mut draw = invented::Draw::new();
    let mut lines = vec![invented::environment("invented")];
    for (mode, batch) in [("infer", 1), ("train", 32)] {
        for (name, seconds) in
            [("dlc", 1e-3), ("dlc-graph", 1.5e-3), ("dlc-eager", 2e-3), ("pytorch", 1.25e-3)]
        {
            lines.push(invented::arm(name, "mlp", mode, batch, 1, seconds, &mut draw));
        }
    }
    lines.push(json!({"kind": "arm", "arm": "tvm", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1,
        "status": "missing", "why": "it is not installed", "install": "pip install apache-tvm", "machine": "invented"}));
    lines.push(json!({"kind": "curve", "arm": "dlc", "model": "digits", "seconds": [1, 2], "loss": [2.0, 0.5], "accuracy": [0.1, 0.9]}));
    lines.push(
        json!({"kind": "kernel", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1, "kernel": "dot_0",
        "line": "mlp.model:3", "seconds": 1e-4, "flops": 1e7, "bytes": 1e6}),
    );
    lines.push(json!({"kind": "compiler", "bench": "parse/mlp", "median_s": 1e-4, "commit": "abc"}));
    expect![[r#"
        h1: dlc beside 1 other framework
        h2: Summary
          figcaption: Figure 1. Inference: dlc against each framework. Means with intervals; crosses are the worst and the best row.
            desc: Geometric mean ratios, above 1 dlc is faster: the fastest other 1.25×, PyTorch 1.25×
          caption: Inference: ratios of times, other by dlc
            thead: against geometric mean 95 % low 95 % high worst best models rows faster no difference slower worst row
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against pytorch --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 2. Training step: dlc against each framework. Means with intervals; crosses are the worst and the best row.
            desc: Geometric mean ratios, above 1 dlc is faster: the fastest other 1.25×, PyTorch 1.25×
          caption: Training step: ratios of times, other by dlc
            thead: against geometric mean 95 % low 95 % high worst best models rows faster no difference slower worst row
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against pytorch --out again.jsonl dlc report again.jsonl -o report.html
        h3: Where another framework is faster
        h2: Frameworks at a glance
          caption: Each against dlc on the rows that both have; medians over models for the rest
            thead: framework version inference training first result compile peak memory right
        h2: Models
        h3: mlp
          caption: mlp: median time of a call, and ratio to dlc
            thead: framework infer, batch 1, 1 thread train, batch 32, 1 thread
          figcaption: Figure 3. mlp, inference, batch 1, 1 thread
            desc: Median time of a call, the fastest first: dlc 1 ms, PyTorch 1.25 ms, dlc graph 1.5 ms, dlc eager 2 ms
          caption: mlp, inference, batch 1, 1 thread
            thead: framework median 95 % interval ratio against dlc result largest error p90 samples threads seen peak memory
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against dlc-graph,dlc-eager,pytorch,tvm --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 4. mlp, training step, batch 32, 1 thread
            desc: Median time of a call, the fastest first: dlc 1 ms, PyTorch 1.25 ms, dlc graph 1.5 ms, dlc eager 2 ms
          caption: mlp, training step, batch 32, 1 thread
            thead: framework median 95 % interval ratio against dlc result largest error p90 samples threads seen peak memory
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
        h2: What planning and fusion buy
          figcaption: Figure 5. Inference in three styles: means of each model, and how much both buy together
            desc: Inference: planning buys 1.33× (1.33× to 1.33×), fusion 1.50× (1.50× to 1.50×), both together 2.00× (2.00× to 2.00×) (geometric means over models, with intervals of 95 %).
          caption: Inference: median time by style
            thead: model conditions eager graph compiled planning fusion both
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against dlc-eager,dlc-graph --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 6. Training step in three styles: means of each model, and how much both buy together
            desc: Training step: planning buys 1.33× (1.33× to 1.33×), fusion 1.50× (1.50× to 1.50×), both together 2.00× (2.00× to 2.00×) (geometric means over models, with intervals of 95 %).
          caption: Training step: median time by style
            thead: model conditions eager graph compiled planning fusion both
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against dlc-eager,dlc-graph --out again.jsonl dlc report again.jsonl -o report.html
        h2: Time to the first result
          figcaption: Figure 7. Until the first result: mlp, inference, batch 1, 1 thread
            desc: The soonest first: dlc 30.8 ms, dlc graph 32.7 ms, dlc eager 56.4 ms, PyTorch 2.25 s
          caption: mlp, inference, batch 1, 1 thread: until the first result
            thead: framework first result import compile each call break-even with dlc
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 8. Until the first result: mlp, training step, batch 32, 1 thread
            desc: The soonest first: dlc graph 30.7 ms, dlc 42.4 ms, dlc eager 75.2 ms, PyTorch 1.58 s
          caption: mlp, training step, batch 32, 1 thread: until the first result
            thead: framework first result import compile each call break-even with dlc
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
        h2: Memory
          figcaption: Figure 9. Peak memory: mlp, inference, batch 1, 1 thread
            desc: The least first: dlc eager 49.1 MiB, dlc graph 95.3 MiB, dlc 105 MiB, PyTorch 468 MiB
          caption: mlp, inference, batch 1, 1 thread: peak memory
            thead: framework peak memory
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against dlc-eager,dlc-graph,pytorch --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 10. Peak memory: mlp, training step, batch 32, 1 thread
            desc: The least first: dlc 55.4 MiB, dlc graph 73 MiB, dlc eager 179 MiB, PyTorch 448 MiB
          caption: mlp, training step, batch 32, 1 thread: peak memory
            thead: framework peak memory
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
        h2: Warm-up
          figcaption: Figure 11. First calls: mlp, inference, batch 1, 1 thread
            desc: dlc from 9 ms to 1.01 ms; dlc graph from 13.5 ms to 1.52 ms; dlc eager from 18 ms to 2.01 ms; PyTorch from 11.3 ms to 1.27 ms
          caption: mlp, inference, batch 1, 1 thread: calls after the first result
            thead: framework first call second call last call calls
            pre: dlc bench --models mlp --mode infer --batch 1 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 12. First calls: mlp, training step, batch 32, 1 thread
            desc: dlc from 9 ms to 1.02 ms; dlc graph from 13.5 ms to 1.53 ms; dlc eager from 18 ms to 2.04 ms; PyTorch from 11.3 ms to 1.27 ms
          caption: mlp, training step, batch 32, 1 thread: calls after the first result
            thead: framework first call second call last call calls
            pre: dlc bench --models mlp --mode train --batch 32 --threads 1 --against dlc-graph,dlc-eager,pytorch --out again.jsonl dlc report again.jsonl -o report.html
        h2: Learning over time
          figcaption: Figure 13. digits: loss while training
            desc: dlc 0.5 after 2.0 s
          caption: digits: loss over time
            thead: framework at last after best
            pre: dlc bench --models digits --mode train --against dlc --out again.jsonl dlc report again.jsonl -o report.html
          figcaption: Figure 14. digits: accuracy while training
            desc: dlc 90 % after 2.0 s
          caption: digits: accuracy over time
            thead: framework at last after best
            pre: dlc bench --models digits --mode train --against dlc --out again.jsonl dlc report again.jsonl -o report.html
        h2: Roofline
          figcaption: Figure 15. Roofline: mlp, infer, batch 1, 1 thread. The run reaches 55.6 % of the roofline in all.
            desc: 1 kernel under a roof of 210 GFLOP/s and 18 GB/s; 55.6 % of the roofline in all
          caption: mlp, infer, batch 1, 1 thread: kernels, the longest first
            thead: line kernel time GFLOP/s GB/s operations a byte of the roof
            pre: dlc bench --models mlp --mode infer --against dlc --batch 1 --threads 1 --out again.jsonl dlc report again.jsonl -o report.html
        h2: Where the time goes
          figcaption: Figure 16. mlp, infer, batch 1, 1 thread: 100 µs by line
            desc: mlp.model:3 100 %
          caption: mlp, infer, batch 1, 1 thread: time by line
            thead: line time share kernels GFLOP/s
            pre: dlc bench --models mlp --mode infer --against dlc --batch 1 --threads 1 --out again.jsonl dlc report again.jsonl -o report.html
        h2: Correctness
          caption: Largest error of any output, over all rows of a model; in words where a row was refused
            thead: framework right mlp
        h2: Rows without a time
          caption: Rows without a time
            thead: framework what why to install rows
        h2: Speed of the compiler
          figcaption: Figure 17. parse/mlp
            desc: 1 measurement, the last 100 µs
          caption: parse/mlp: by commit
            thead: commit median 95 % low 95 % high
            pre: make bench-compiler dlc report invented.jsonl -o report.html
        h2: How it was measured
            pre: dlc report invented.jsonl -o report.html
        h2: Environment
    "#]].assert_eq(&outline(&page_of(&invented::text(&lines))));
}
