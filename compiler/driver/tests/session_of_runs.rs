//! A session of runs: a language model that is given its tokens in parts keeps keys and values between calls, and says what
//! it says to all of them at once.

use abi::Role;
use driver::{NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Entry, Pool, Program};
use std::{collections::BTreeMap, fs, path::Path};
use tensor::Tensor;

const ROWS: usize = 3;
const LENGTH: usize = 11;
const WORDS: usize = 40;

struct Model {
    program: Program,
    pool: Pool,
    weights: BTreeMap<String, Tensor>,
}

fn gpt2(float: kernel::DType) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/gpt2.model");
    let text = fs::read_to_string(path).expect("the model");
    let mut options = Options { float, ..Options::native() };
    for (name, value) in [("vocab", "40"), ("layers", "4"), ("d", "32"), ("heads", "4"), ("context", "16")] {
        options.sema.set.insert(name.into(), value.into());
    }
    let session = Session::new("gpt2.model", &text, &NoFiles, options);
    let (built, _) = session.build(Some("GPT2"), false).unwrap_or_else(|_| panic!("the model has errors"));
    let entries = Session::entries(&built, &["run", "init", "reset"]);
    assert_eq!(entries.len(), 3, "a model with a cache has all three entries");
    let compiled = session.compile(&built, &entries, &NoCache, &mut Trace::default()).expect("code");
    let program = compiled.load().expect("code that loads");
    let pool = Pool::new(1).expect("a thread");
    let weights = begun(&program, &pool, "init", &Dims::new());
    Model { program, pool, weights }
}

fn begun(program: &Program, pool: &Pool, entry: &str, dims: &Dims) -> BTreeMap<String, Tensor> {
    let entry = program.entry(entry).expect("an entry");
    let seed = Tensor::from_vec([], [5i64]).expect("a number");
    let args = vec![&seed; entry.info().args.len()];
    named(entry, entry.call(&mut Arena::new(), pool, &args, dims).expect("initial values"))
}

fn named(entry: &Entry, results: Vec<Tensor>) -> BTreeMap<String, Tensor> {
    entry.info().results.iter().map(|info| info.name.clone()).zip(results).collect()
}

impl Model {
    /// Logits, row by row, of tokens that come in parts of these lengths.
    fn told(&self, tokens: &[[i32; LENGTH]; ROWS], parts: &[usize]) -> Vec<Vec<f64>> {
        let run = self.program.entry("run").expect("an entry");
        let dims = Dims::from([("b".to_string(), ROWS as i64)]);
        let mut states = begun(&self.program, &self.pool, "reset", &dims);
        let mut said = vec![Vec::new(); ROWS];
        let mut at = 0;
        for part in parts {
            let given: Vec<i32> = tokens.iter().flat_map(|row| row[at..at + part].iter().copied()).collect();
            let given = Tensor::from_vec([ROWS, *part], given).expect("tokens");
            let place = Tensor::from_vec([], [at as i32]).expect("a number");
            let args: Vec<&Tensor> = run
                .info()
                .args
                .iter()
                .map(|arg| match (arg.role, arg.name.as_str()) {
                    (Role::Input, "tokens") => &given,
                    (Role::Input, "at") => &place,
                    (Role::State, name) => &states[name],
                    (_, name) => &self.weights[name],
                })
                .collect();
            let results = run.call(&mut Arena::new(), &self.pool, &args, &Dims::new()).expect("a run");
            let mut results = named(run, results);
            let logits = results.remove("logits").expect("logits");
            assert_eq!(logits.shape(), [ROWS, *part, WORDS]);
            for (row, values) in logits.to_f64_vec().chunks(part * WORDS).enumerate() {
                said[row].extend_from_slice(values);
            }
            states.extend(
                results.into_iter().filter(|(name, _)| name.contains("keys") || name.contains("values")),
            );
            at += part;
        }
        said
    }
}

fn furthest(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()))
}

#[test]
fn tokens_in_parts_give_what_all_at_once_give() {
    let tokens: [[i32; LENGTH]; ROWS] =
        std::array::from_fn(|row| std::array::from_fn(|at| ((row * 31 + at * 17 + 3) % WORDS) as i32));
    for (float, tolerance) in [(kernel::DType::F32, 2e-5), (kernel::DType::F64, 1e-13)] {
        let model = gpt2(float);
        let whole = model.told(&tokens, &[LENGTH]);
        let largest = whole.iter().flatten().fold(0.0f64, |most, value| most.max(value.abs()));
        for parts in [vec![1; LENGTH], vec![6, 1, 1, 3], vec![10, 1]] {
            let found = model.told(&tokens, &parts);
            let off = furthest(&whole, &found);
            assert!(off <= tolerance * largest, "{parts:?}: {off} of {largest}");
        }
        // The later parts hear of the first token through the cache alone, and rows do not hear of each other.
        let mut other = tokens;
        other[0][0] = (other[0][0] + 1) % WORDS as i32;
        let changed = model.told(&other, &[6, 1, 1, 3]);
        let last = |said: &[Vec<f64>], row: usize| vec![said[row][(LENGTH - 1) * WORDS..].to_vec()];
        assert!(furthest(&last(&whole, 0), &last(&changed, 0)) > 1e-4 * largest);
        assert!(furthest(&last(&whole, 1), &last(&changed, 1)) <= tolerance * largest);
    }
}
