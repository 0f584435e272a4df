//! Accounts held against sums by hand and figures that others publish.

use driver::{Account, NoFiles, Options, Session, Trace, account, instances};
use shape::Dim;
use std::collections::BTreeMap;

fn accounted(text: &str, model: Option<&str>, entry: &'static str) -> (Account, Vec<driver::Instance>) {
    let session = Session::new("m.model", text, &NoFiles, Options::native());
    let (built, _) = session.build(model, true).expect("a model");
    let entries = Session::entries(&built, &[entry]);
    let module = session.optimize(&built, &entries, &mut Trace::default()).expect("a graph");
    let account = account(&module, entries[0].1, session.options.float);
    (account, instances(&built.module, entries[0].1))
}

fn at(dim: &Dim, batch: i64) -> i64 {
    dim.eval(&BTreeMap::from([(shape::Symbol::new("batch"), batch)])).expect("one dimension")
}

#[test]
fn dense_convolution_and_attention_by_hand() {
    let text = "model M(x: f32[batch, 3, 10, 12], t: f32[batch, 5, 16]) -> (a: f32[batch, 7], b: f32[batch, 5, 16]) {
    h = x |> conv2d(4, kernel: 3, padding: 0, bias: false)
    a = h |> flatten |> dense(7)
    b = multi_head_attention(heads: 2)(t, t, t)
}
";
    let (account, found) = accounted(text, None, "run");
    let work = |path: &str| at(&account.instances[path].forward, 2);
    assert_eq!(work("conv2d"), 2 * 2 * 4 * 8 * 10 * 3 * 3 * 3);
    assert_eq!(work("dense"), 2 * (2 * 320 * 7 + 7));
    // The products alone: four projections, scores and their sums; the rest is one operation a number.
    let products = 2 * 2 * (4 * 5 * 16 * 16 + 2 * 2 * 5 * 5 * 8);
    let attention = work("multi_head_attention");
    assert!(attention > products && attention < products * 12 / 10, "{attention} beside {products}");
    assert_eq!(at(&account.bytes["dense"], 2), 4 * (2 * 320 + 320 * 7 + 7 + 2 * 7));
    assert_eq!(found.iter().filter(|it| it.depth == 0).count(), 3);
    let inside: Vec<&str> = found.iter().filter(|it| it.depth == 1).map(|it| it.layer.as_str()).collect();
    assert_eq!(inside, ["dense"; 4]);
}

#[test]
fn the_backward_pass_of_a_dense_layer_is_two_products() {
    let text = "model M(x: f32[batch, 30]) -> (y: f32[batch, 1]) {
    h = x |> dense(50, bias: false)
    y = h |> dense(1, bias: false)
}

train M(target: f32[batch, 1]) {
    data = synthetic(8, x: normal(0, 1), target: normal(0, 1))
    loss = mean(y * target)
}
";
    let (account, _) = accounted(text, None, "grad");
    // Inputs need no derivative, so the first layer has one product only.
    assert_eq!(at(&account.instances["dense"].backward, 8), 2 * 8 * 30 * 50);
    assert_eq!(at(&account.instances["dense"].forward, 8), 2 * 8 * 30 * 50);
    let last = at(&account.instances["dense_1"].backward, 8);
    assert!((2 * 8 * 50..=4 * 8 * 50 + 16).contains(&last), "{last}");
}

#[test]
fn steps_of_a_scan_have_the_rows_of_blocks_written_out() {
    let text = "layer unit(d: dim)(x: f32[n, d], shift: f32[n, d]) -> f32[n, d] {
    x + (x * shift |> dense(d) |> tanh)
}

model M(x: f32[batch, 8], t: f32[batch, 8]) -> (y: f32[batch, 2]) {
    y = repeat(20) as block { unit(8) }(x, t) |> dense(2)
}

train M(target: f32[batch, 2]) {
    data = synthetic(8, x: normal(0, 1), t: normal(0, 1), target: normal(0, 1))
    loss = mse(y, target)
}
";
    for (entry, written_out) in [("run", true), ("run", false), ("grad", true), ("grad", false)] {
        let mut options = Options::native();
        options.sema.write_out = written_out;
        let session = Session::new("m.model", text, &NoFiles, options);
        let (built, _) = session.build(None, true).expect("a model");
        let entries = Session::entries(&built, &[entry]);
        let module = session.optimize(&built, &entries, &mut Trace::default()).expect("a graph");
        let nodes = module.functions[entries[0].1].nodes.values();
        assert_eq!(nodes.iter().any(|node| matches!(node.op, graph::Op::Scan(_))), !written_out);
        let account = account(&module, entries[0].1, session.options.float);
        if entry == "run" {
            let found = instances(&built.module, entries[0].1);
            let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).take(4).collect();
            assert_eq!(paths, ["block.0", "block.0.dense", "block.1", "block.1.dense"]);
            assert_eq!(found.len(), 41);
        }
        for block in 0..20 {
            let of = |path: &str| account.instances[&format!("block.{block}{path}")].clone();
            assert_eq!(at(&of(".dense").forward, 3), 3 * (2 * 8 * 8 + 8));
            // A scan makes in its forward half what its derivative reads of a step, here of `tanh`.
            let more = if entry == "grad" && !written_out { 2 * 8 } else { 0 };
            assert_eq!(at(&of("").forward, 3), 3 * (2 * 8 * 8 + 8 + 3 * 8 + more));
            // What is read and given: weights, x, t and the result; inside the product of x and t in place of both.
            let bytes = |path: &str| at(&account.bytes[&format!("block.{block}{path}")], 3);
            if entry == "run" {
                assert_eq!(bytes(".dense"), 4 * (8 * 8 + 8 + 2 * 3 * 8), "{written_out}");
                assert_eq!(bytes(""), 4 * (8 * 8 + 8 + 3 * 3 * 8), "{written_out}");
            } else if block > 0 {
                // Written out, the first needs no derivative of its input.
                let backward = at(&of(".dense").backward, 3);
                assert!((2 * 2 * 3 * 64..2 * 2 * 3 * 64 + 100).contains(&backward), "{backward}");
            }
        }
    }
}

#[test]
fn loops_count_their_steps_and_branches_their_dearer_side() {
    let text = "layer cell(d: dim)(x: f32[n, d], h: f32[n, d]) -> f32[n, d] {
    tanh(x + (h |> dense(d, bias: false)))
}

model M(xs: f32[batch, time, 4]) -> (y: f32[batch, 4]) {
    unit = cell(4)
    fn step(x, h) {
        next = unit(x, h)
        (next, next)
    }
    _, h = scan(step, xs, zeros([batch, 4]))
    y = if time > 3 { h * 2 + 1 } else { h }
}
";
    let (account, _) = accounted(text, None, "run");
    let sizes = BTreeMap::from([(shape::Symbol::new("batch"), 3), (shape::Symbol::new("time"), 5)]);
    let at = |dim: &Dim| dim.eval(&sizes).expect("sizes");
    // A product, a sum and a tanh in each of five steps; then a product and a sum on the dearer side.
    assert_eq!(at(&account.instances["unit"].forward), 5 * 3 * (2 * 16 + 2 * 4));
    assert_eq!(at(&account.total.forward), 5 * 3 * (2 * 16 + 2 * 4) + 3 * 4 * 2);
    // The weights once; x, h and the next h in each step.
    assert_eq!(at(&account.bytes["unit"]), 4 * (16 + 5 * 3 * (3 * 4)));
    assert!(account.branches && !account.open_loops);
}

#[test]
fn published_figures() {
    let resnet = include_str!("../../../models/resnet.model");
    let (account, _) = accounted(resnet, Some("ResNet50"), "run");
    // 4.09 GMAC at 224 x 224 are published; counted here are also norms and activations.
    let multiply_adds = at(&account.total.forward, 1) as f64 / 2e9;
    assert!((4.05..4.20).contains(&multiply_adds), "{multiply_adds}");
    let vit = include_str!("../../../models/vit.model");
    let (account, found) = accounted(vit, None, "run");
    // 4.6 GMAC of ViT-S at 224 x 224 in patches of 16.
    let multiply_adds = at(&account.total.forward, 1) as f64 / 2e9;
    assert!((4.55..4.75).contains(&multiply_adds), "{multiply_adds}");
    let blocks: Vec<i64> =
        (0..12).map(|n| at(&account.instances[&format!("block.{n}")].forward, 1)).collect();
    assert!(blocks.iter().all(|work| *work == blocks[0]));
    assert!(found.iter().any(|it| it.path.starts_with("block.11.") && it.depth == 1));
    // 6N + 12 L d T operations a token are the usual estimate of a training step of GPT-2 (N = 124M without positions,
    // L = 12, d = 768, T = 1024), of which a third is the forward pass.
    let gpt2 = include_str!("../../../models/gpt2.model");
    let (account, _) = accounted(gpt2, None, "run");
    let sizes = |b: i64, s: i64| BTreeMap::from([(shape::Symbol::new("b"), b), (shape::Symbol::new("s"), s)]);
    let operations = account.total.forward.eval(&sizes(1, 1024)).expect("sizes") as f64;
    let published = 1024.0 * (6.0 * 123.65e6 + 12.0 * 12.0 * 768.0 * 1024.0) / 3.0;
    assert!((0.99..1.02).contains(&(operations / published)), "{operations} {published}");
    // MiniLM-L6: 12 d² weights a layer, d = 384, at 128 tokens.
    let minilm = include_str!("../../../models/minilm.model");
    let (account, _) = accounted(minilm, None, "run");
    let operations = account.total.forward.eval(&sizes(1, 128)).expect("sizes") as f64;
    let published = 128.0 * 6.0 * (2.0 * 12.0 * 384.0 * 384.0 + 4.0 * 384.0 * 128.0);
    assert!((0.99..1.02).contains(&(operations / published)), "{operations} {published}");
}
