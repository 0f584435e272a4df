//! The text form: what is printed can be read, and reading and printing it again changes nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{Op, parse::parse, print::print, verify::verify};

/// Every operator, in the printed form.
const ALL_OPERATORS: &str = r##"fn @"odd name" composite "soft\"max" (%0: x: float[n, 10] input, %1: "weight 1": float[10] weight) -> (y: output, z: loss) {
  assume n >= 1
  assume 2*m == n
  assume n divided by 4
  require n >= 1 "at least one row"
  require n % 4 == 0 "rows in \\ fours\n"
  %2: float[n] = reduce max axes=[1] %0
  %3: float[n, 1] = reshape shape=[n, 1] %2
  %4: float[1, 10] = reshape shape=[1, 10] %1
  %5: float[n, 10] = broadcast shape=[n, 10] %4
  %6: float[n, 10] = sub %0 %5
  %7: float[n, 10] = exp %6
  %8: float[3] = const {1.0, -0.0, nan}
  %9: i32[2, 2] = const {1, 2, -3, 4}
  %10: bool[2] = const {1, 0}
  %11: float = size dim=(n + div(m, 2) - 1) dtype=float
  %12: float[n, n] = contract extents=[n, n, 10] out=[0, 1] lhs=[#0, #2] rhs=[#1, #2] %0 %7
  %13: bool[n, 10] = lt %0 %7
  %14: float[n, 10] = select %13 %0 %7
  %15: f32[n, 10] = cast to=f32 %14
  %16: float[10, n] = transpose perm=[1, 0] %0
  %17: float[n, 3] = slice start=[0, 9] extent=[n, 3] stride=[1, -2] %0
  %18: float = const {0.5}
  %19: float[n + 3, 18] = pad low=[1, 0] high=[2, -1] interior=[0, 1] %0 %18
  %20: float[2*n, 10] = concat axis=0 %0 %7
  %21: float[n, 4, 3] = window axes=[1] size=[3] stride=[2] dilation=[1] %0
  %22: float[n, 10] = fold axes=[1] size=[3] stride=[2] dilation=[1] extents=[10] %21
  %23: float[n, 2, 2] = gather axis=1 lanes=0 %0 %9
  %24: float[n, 10] = scatter_add axis=1 lanes=0 %0 %9 %23
  %25: i32[n, 4] = iota shape=[n, 4] axis=1
  %26: i64 = const {42}
  %27: float[n] = random normal dtype=float shape=[n] draw=3 %26 %26 %26
  %28: float[n, 10] = stop_gradient %0
  %29: float[n, 7] = contract extents=[n, 7, 3] out=[0, 1] lhs=[#0, #1 + #2 + (1)] rhs=[#0, -1*#2 + (2)] %0 %17
  %30: i32[n, 10] = argsort axis=1 descending=true %0
  %31: float[n, 10] = cumulative axis=0 reverse=false leading=true %7 %0
  return %22, %11
}

fn @step (%0: h: float[k] input, %1: w: float[k] input, %2: x: float[k] input, %3: t: float[k] input) -> (h: output, y: output, z: output) {
  %4: float[k] = add %0 %1
  return %4, %2, %3
}

fn @goes_on (%0: h: float[k] input, %1: w: float[k] input) -> (c: output) {
  %2: float = reduce sum axes=[0] %0
  %3: float = reduce sum axes=[0] %1
  %4: bool = lt %2 %3
  return %4
}

fn @doubled (%0: h: float[k] input, %1: w: float[k] input) -> (h: output) {
  %2: float[k] = add %0 %0
  return %2
}

fn @loops (%0: h: float[k] input, %1: w: float[k] input, %2: x: float[2, k] input, %3: c: bool input) -> (a: output) {
  %4: (float[k], float[2, k], float[k], float[k]) = scan @step count=(2) reverse=true carried=1 fixed=1 stacked=1 tables=1 table_results=1 remat=false %0 %1 %2 %0 %1
  %5: float[k] = get index=0 %4
  %6: float[k] = cond @doubled @doubled %3 %5 %1
  %7: float[k] = get index=0 %6
  %8: float[k] = while @goes_on @doubled carried=1 limit=(k + 1) %7 %1
  %9: float[k] = get index=0 %8
  %10: float[k] = while @goes_on @doubled carried=1 limit=none %9 %1
  %11: float[k] = get index=0 %10
  return %11
}

fn @slope (%0: x: float[a] input, %1: d: float[a] input) -> (d: output) {
  %2: float[a] = barrier %1
  return %2
}

fn @own derivative @slope remat (%0: x: float[a] input) -> (y: output) {
  return %0
}

fn @caller (x: float[a, 10] input, w: float[10] input) -> (out: output) {
  %0: float[10] = param index=1
  %1: float[a, 10] = param index=0
  %2: (float[a, 10], float) = call @"odd name" %1 %0
  %3: float[a, 10] = get index=0 %2
  return %3
}
"##;

#[test]
fn printing_what_was_read_gives_the_same_text() {
    let module = parse(ALL_OPERATORS).unwrap();
    verify(&module).unwrap();
    let printed = print(&module);
    assert_eq!(printed, ALL_OPERATORS);
    assert_eq!(print(&parse(&printed).unwrap()), printed);
    let used: Vec<&str> =
        module.functions.values().iter().flat_map(|f| f.nodes.values()).map(|node| node.op.name()).collect();
    let missing: Vec<&&str> = Op::NAMES.iter().filter(|name| !used.contains(name)).collect();
    assert!(missing.is_empty(), "not in the text above: {missing:?}");
}

#[test]
fn comments_and_free_labels_are_read() {
    let module = parse(
        "# what this is\nfn @f (%in: x: f32[n] input) -> (y: output) {\n  # and why\n  %twice: f32[n] = add %in %in\n  return %twice\n}\n",
    )
    .unwrap();
    assert_eq!(
        print(&module),
        "fn @f (%0: x: f32[n] input) -> (y: output) {\n  %1: f32[n] = add %0 %0\n  return %1\n}\n"
    );
}

#[test]
fn faults_are_told_with_their_place() {
    let in_body =
        |line: &str| format!("fn @f (%0: x: f32[n] input) -> (y: output) {{\n  {line}\n  return %0\n}}\n");
    for (text, place, message) in [
        (in_body("%1: f32[n] = foo %0"), (2, 19), "there is no operator `foo`"),
        (in_body("%1: f32[m] = exp %0"), (2, 7), "the type of `exp` here is f32[n]"),
        (in_body("%1: f32[n] = exp %9"), (2, 21), "no value of this label"),
        (in_body("%0: f32[n] = exp %0"), (2, 4), "this label stands already"),
        (in_body("%1: f32[n] = call @g %0"), (2, 22), "no function of this name"),
        (in_body("%1: f32[n] = get index=0 %0"), (2, 7), "takes one operand that runs functions"),
        (in_body("%1: f32[2] = const {1.0}"), (2, 21), "number of values"),
        (in_body("%1: f32[n] = const {1.0}"), (2, 21), "sizes are numbers"),
        (in_body("%1: f32[n] = param index=1"), (2, 7), "no parameter 1"),
        (in_body("%1: f32[n] = reduce sum axes=[99999999999999999999] %0"), (2, 33), "integer in range"),
        ("fn @f () -> () {".into(), (1, 17), "expected `%`"),
        ("fn @\"f".into(), (1, 6), "the string has no end"),
        ("fn @f () -> () {\n return }\nfn @f () -> () { return }".into(), (3, 1), "a second function"),
        ("fn @f (%0: x: f32[n input) -> () {".into(), (1, 19), "in a dimension"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.message.contains(message), "{error} for\n{text}");
        assert_eq!((error.line, error.column), place, "{error} for\n{text}");
    }
}

/// Text that was damaged anywhere is either read or refused, and what was read can be verified and printed.
#[test]
fn damaged_text_is_never_a_panic() {
    let text = ALL_OPERATORS.as_bytes();
    let pieces: [&[u8]; 14] = [
        b"",
        b"-",
        b"9",
        b"99999999999999999999",
        b"[]",
        b"(",
        b")",
        b",",
        b"%0",
        b"\"",
        b"div(n, 0)",
        b"n*n",
        b" ",
        b"#7",
    ];
    let mut state = 1u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    let mut read = 0;
    for _ in 0..20_000 {
        let start = below(text.len());
        let end = (start + below(4)).min(text.len());
        let piece = pieces[below(pieces.len())];
        let damaged = [&text[..start], piece, &text[end..]].concat();
        if let Ok(module) = parse(&String::from_utf8_lossy(&damaged)) {
            read += 1;
            if verify(&module).is_ok() {
                let printed = print(&module);
                assert_eq!(print(&parse(&printed).unwrap()), printed);
            }
        }
    }
    assert!(read > 100, "only {read} texts were read");
}
