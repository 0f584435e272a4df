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
}
