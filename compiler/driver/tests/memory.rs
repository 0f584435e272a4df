//! Fitting training steps into memory: how far the peak falls, for how much more work, with the same bits.

use driver::{Fitted, Footprint, MemoryLimit, NoCache, NoFiles, Options, Session, Trace, account};
use exec::{Arena, Pool};
use graph::Op;
use std::collections::BTreeMap;
use tensor::Tensor;

const DENSE: &str = "layer unit(d: dim)(x: float[n, d]) -> float[n, d] {
    x |> dense(d) |> tanh
}

model Deep(x: f32[batch, 64]) -> (y: f32[batch, 1]) {
    y = x |> repeat(24) as block { unit(64) } |> dense(1)
}

train Deep {
    data      = synthetic(64, x: normal(0, 1), target: normal(0, 1))
    loss      = mse(y, target)
    optimizer = sgd(lr: 0.1)
}
";

const CONVOLUTIONS: &str = "layer unit(c: dim)(x: float[n, c, h, w]) -> float[n, c, h, w] {
    x + (x |> conv2d(c, kernel: 3, padding: 1) |> batch_norm |> relu |> dropout(0.1))
}

model Deep(x: f32[batch, 8, 16, 16]) -> (y: f32[batch, 1]) {
    y = x |> repeat(12) as block { unit(8) } |> global_avg_pool |> dense(1)
}

train Deep {
    data      = synthetic(64, x: normal(0, 1), target: normal(0, 1))
    loss      = mse(y, target)
    optimizer = sgd(lr: 0.1)
}
";

fn session(text: &str, batch: i64, limit: Option<u64>) -> Session {
    let mut options = Options::native();
    options.sema.bind.insert("batch".into(), batch);
    options.max_memory = limit.map(|bytes| MemoryLimit { bytes, sizes: BTreeMap::new() });
    Session::new("deep.model", text, &NoFiles, options)
}

/// Bytes of the peak and operations of one training step.
fn cost(session: &Session) -> Result<(i64, i64), driver::Failure> {
    let (built, _) = session.build(None, true)?;
    let entries = Session::entries(&built, &["step"]);
    let Fitted { module, entries } = session.fitted(&built, &entries, &mut Trace::default())?;
    let kernels = session.lower_module(&module, "deep", &entries, &mut Trace::default())?;
    let peak = Footprint::of(&kernels.plans[0]).peak().as_const().expect("fixed sizes");
    let work = account(&module, entries[0].1, session.options.float).total.total();
    Ok((peak, work.as_const().expect("fixed sizes")))
}

/// Loss, states and gradients, as bytes.
fn results(session: &Session, batch: usize) -> Vec<Vec<u8>> {
    let (built, _) = session.build(None, true).expect("a model");
    let entries = Session::entries(&built, &["grad", "init"]);
    let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).expect("code");
    let program = compiled.load().expect("a program");
    let pool = Pool::new(2).expect("threads");
    let seed = Tensor::from_vec([], [7i64]).expect("a scalar");
    let call = |name: &str, given: &dyn Fn(&abi::ArgInfo) -> Tensor| {
        let entry = program.entry(name).expect("an entry");
        let args: Vec<Tensor> = entry.info().args.iter().map(given).collect();
        let args: Vec<&Tensor> = args.iter().collect();
        let values = entry.call(&mut Arena::new(), &pool, &args, &BTreeMap::new()).expect("a call");
        let names: Vec<String> = entry.info().results.iter().map(|info| info.name.clone()).collect();
        names.into_iter().zip(values).collect::<Vec<_>>()
    };
    let weights: BTreeMap<String, Tensor> = call("init", &|_| seed.clone()).into_iter().collect();
    let field = |info: &abi::ArgInfo| {
        let shape: Vec<usize> = info.shape.iter().map(|dim| dim.parse().unwrap_or(batch)).collect();
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|at| ((at * 7919 % 1013) as f32 / 506.5) - 1.0).collect();
        Tensor::from_vec(shape, values).expect("a field")
    };
    let given = |info: &abi::ArgInfo| match info.role {
        abi::Role::Control => seed.clone(),
        _ => weights.get(&info.name).cloned().unwrap_or_else(|| field(info)),
    };
    call("grad", &given).into_iter().map(|(_, tensor)| tensor.bytes().to_vec()).collect()
}

#[test]
fn the_peak_of_a_step_falls_by_two_fifths_for_a_third_more_work() {
    for (name, text) in [("dense", DENSE), ("convolutions", CONVOLUTIONS)] {
        let mut free = session(text, 512, None);
        let (of_scan, _) = cost(&free).expect("a plan");
        free.options.sema.write_out = true;
        let (peak, work) = cost(&free).expect("a plan");
        // The blocks of the dense one are steps of a scan until that is too much.
        assert!(of_scan >= peak, "{name}: {of_scan} as a scan, {peak} bytes written out");
        let (less, more) = cost(&session(text, 512, Some(peak as u64 * 6 / 10))).expect("a plan that fits");
        assert!(less <= peak * 6 / 10, "{name}: {less} of {peak} bytes");
        assert!(more > work && more <= work * 135 / 100, "{name}: {more} for {work} operations");
    }
}

#[test]
fn blocks_are_written_out_where_their_scan_takes_too_much() {
    let scans = |session: &Session| {
        let (built, _) = session.build(None, true).expect("a model");
        let entries = Session::entries(&built, &["step"]);
        let fitted = session.fitted(&built, &entries, &mut Trace::default()).expect("a plan that fits");
        let functions = &fitted.module.functions;
        // Updates of weights that are alike are steps of scans either way; they are of no layer.
        let is_of_blocks = |scan: &graph::ops::Scan| {
            let mut scopes =
                functions[scan.body].nodes.values().iter().filter_map(|node| node.scope.as_ref());
            scopes.any(|scope| scope.instance.starts_with("block"))
        };
        let nodes = functions[fitted.entries[0].1].nodes.values().iter();
        nodes.filter(|node| matches!(&node.op, Op::Scan(scan) if is_of_blocks(scan))).count()
    };
    let free = session(DENSE, 512, None);
    let (peak, work) = cost(&free).expect("a plan");
    assert!(scans(&free) > 0);
    assert!(scans(&session(DENSE, 512, Some(peak as u64))) > 0, "the scan fits");
    let tight = session(DENSE, 512, Some(peak as u64 - 1));
    assert_eq!(scans(&tight), 0);
    let (less, more) = cost(&tight).expect("a plan that fits");
    assert!(less < peak && more >= work, "{less} of {peak} bytes, {more} for {work} operations");
}

#[test]
fn results_have_the_same_bits() {
    for (name, text) in [("dense", DENSE), ("convolutions", CONVOLUTIONS)] {
        let free = session(text, 256, None);
        let (built, _) = free.build(None, true).expect("a model");
        let entries = Session::entries(&built, &["grad"]);
        let kernels = free.lower(&built, &entries, &mut Trace::default()).expect("a plan");
        let peak = Footprint::of(&kernels.plans[0]).peak().as_const().expect("fixed sizes");
        let tight = session(text, 256, Some(peak as u64 * 3 / 4));
        assert!(results(&free, 256) == results(&tight, 256), "{name}");
    }
}

#[test]
fn what_cannot_fit_says_what_could_be_reached_and_what_holds_the_peak() {
    let failure = cost(&session(DENSE, 512, Some(100_000))).expect_err("100 kB are too little");
    let driver::Failure::Faults(faults) = failure else { panic!("{failure}") };
    assert_eq!(faults[0].code, "E0905");
    let text = format!("{faults:?}");
    for part in ["instead of keeping them it needs", "arguments and results alone", "at its peak", "block."] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn sizes_stated_beside_the_build_decide_and_code_stays_general() {
    let mut general = session(DENSE, 512, Some(1));
    general.options.sema.bind.clear();
    let (built, _) = general.build(None, true).expect("a model");
    let entries = Session::entries(&built, &["step"]);
    let open = general.lower(&built, &entries, &mut Trace::default()).expect_err("batch is open");
    assert!(open.to_string().contains("is not fixed"), "{open}");
    let (peak, _) = cost(&session(DENSE, 512, None)).expect("a plan");
    let sizes = BTreeMap::from([("batch".to_string(), 512)]);
    general.options.max_memory = Some(MemoryLimit { bytes: peak as u64 * 7 / 10, sizes });
    let kernels = general.lower(&built, &entries, &mut Trace::default()).expect("a plan that fits");
    let footprint = Footprint::of(&kernels.plans[0]).peak();
    assert!(footprint.as_const().is_none(), "{footprint}");
    let at =
        |batch: i64| footprint.eval(&BTreeMap::from([(shape::Symbol::new("batch"), batch)])).expect("a size");
    assert!(at(512) <= peak * 7 / 10 && at(32) < at(512));
}
