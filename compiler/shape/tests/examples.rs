//! What a reader of a model expects of its dimensions.

use std::collections::BTreeMap;

use shape::{Dim, EvalError, Facts, Proof, Shape, Symbol, solve};

fn dim(text: &str) -> Dim {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shape(text: &str) -> Shape {
    text.split(", ").filter(|axis| !axis.is_empty()).map(dim).collect()
}

/// `require`s, one a line: `a >= b`, `a == b`, `a | b` for "a divides b".
fn facts(text: &str) -> Facts {
    let mut facts = Facts::default();
    for line in text.split(';').filter(|line| !line.is_empty()) {
        if let Some((a, b)) = line.split_once(">=") {
            facts.assume_ge(dim(a), dim(b));
        } else if let Some((a, b)) = line.split_once("==") {
            facts.assume_eq(dim(a), dim(b));
        } else if let Some((a, b)) = line.split_once('|') {
            facts.assume_divisible(dim(b), dim(a));
        } else {
            panic!("not a fact: {line}");
        }
    }
    facts
}

#[track_caller]
fn prints(text: &str, canonical: &str) {
    assert_eq!(dim(text).to_string(), canonical);
    assert_eq!(dim(canonical), dim(text));
}

#[track_caller]
fn compare(assumed: &str, a: &str, relation: &str, b: &str, expected: Proof) {
    let facts = facts(assumed);
    let (a, b) = (dim(a), dim(b));
    let proof = match relation {
        "==" => facts.prove_eq(&a, &b),
        ">=" => facts.prove_ge(&a, &b),
        ">" => facts.prove_gt(&a, &b),
        "%" => facts.prove_divisible(&a, &b),
        other => panic!("no relation {other}"),
    };
    assert_eq!(proof, expected, "{a} {relation} {b} under {facts:?}");
}

#[test]
fn polynomials_have_one_form() {
    prints("1 + h*4", "4*h + 1");
    prints("(h + 1)*(h - 1)", "h*h - 1");
    prints("4 - h", "4 - h");
    prints("-h", "-h");
    prints("w*h - h*w", "0");
    prints("2*(s % 4) + 1", "2*(s % 4) + 1");
    prints("-(s % 4)", "-(s % 4)");
    prints("(h*w) / w", "h");
}

#[test]
fn quotients_have_one_form() {
    prints("div(h - 1, 2) + 1", "ceil_div(h, 2)");
    prints("div(h + 2*3 - 7, 2) + 1", "ceil_div(h, 2)");
    prints("ceil_div(ceil_div(h, 2), 2)", "ceil_div(h, 4)");
    prints("div(div(h, 3) + w, 2)", "div(h + 3*w, 6)");
    prints("div(4*h + 7, 4)", "h + 1");
    prints("div(4*h + 7, 8)", "ceil_div(h, 2)");
    prints("div(6*h + 4, 8)", "div(3*h + 2, 4)");
    prints("div(h, 1)", "h");
    prints("div(-h, -3)", "div(h, 3)");
    prints("div(s*h + w, s)", "h + div(w, s)");
    prints("div(s*h, s*w)", "div(h, w)");
    prints("div(2*s, 2*s + 2)", "div(s, s + 1)");
    prints("div(7, 2) + ceil_div(7, 2)", "7");
    prints("div(-7, 2)", "-4");
}

#[test]
fn remainders_have_one_form() {
    prints("h % 1", "0");
    prints("(4*h + 6) % 4", "2");
    prints("(5*h + 6) % 4", "(h + 2) % 4");
    prints("(h % 8) % 4", "h % 4");
    prints("(2*h + 3) % 4", "2*((h + 1) % 2) + 1");
    prints("(s*h + w) % s", "w % s");
    prints("h % h", "0");
    prints("-7 % 4", "1");
    prints("7 % (-4)", "-1");
}

#[test]
fn extrema_have_one_form() {
    prints("min(h, h + 1)", "h");
    prints("max(h, max(w, h + 2))", "max(h + 2, w)");
    prints("max(max(b, h), w)", "max(b, h, w)");
    prints("min(w, h)", "min(h, w)");
    prints("max(3, 5)", "5");
}

#[test]
fn extrema_by_value_are_those_of_sizes() {
    assert_eq!(Ord::max(Dim::constant(10), Dim::constant(9)), Dim::constant(10));
    assert_eq!(dim("h").min(dim("w")), dim("min(h, w)"));
}

#[test]
fn equality_is_proved_or_disproved() {
    compare("", "h + 1", "==", "h + 2", Proof::Disproved);
    compare("", "h", "==", "w", Proof::Unknown);
    compare("", "2*h", "==", "2*w + 1", Proof::Disproved);
    compare("", "h + w + 1", "==", "0", Proof::Disproved);
    compare("", "w*div(h, w) + h % w", "==", "h", Proof::Proved);
    compare("", "div(h, 2) + ceil_div(h, 2)", "==", "h", Proof::Proved);
    compare("", "div(h + w - 1, w)", "==", "ceil_div(h, w)", Proof::Proved);
    compare("", "max(h, 0)", "==", "h", Proof::Proved);
    compare("", "max(h, w) + min(h, w)", "==", "h + w", Proof::Proved);
    compare("h == 4", "h*w", "==", "4*w", Proof::Proved);
    compare("4*h == 512", "h", "==", "128", Proof::Proved);
    compare("h >= w; w >= h", "h", "==", "w", Proof::Proved);
    compare("2*h == 3*w", "4*h", "==", "6*w", Proof::Proved);
    compare("h >= 5", "h", "==", "4", Proof::Disproved);
    compare("heads|d", "heads*div(d, heads)", "==", "d", Proof::Proved);
    compare("heads|d", "3*d", "==", "heads*div(3*d, heads)", Proof::Proved);
    compare("2|h", "ceil_div(h, 2)", "==", "div(h, 2)", Proof::Proved);
    compare("4|h; 4|w", "4*div(h + w, 4)", "==", "h + w", Proof::Proved);
}

#[test]
fn order_is_proved_or_disproved() {
    compare("", "h", ">=", "0", Proof::Proved);
    compare("", "h", ">=", "1", Proof::Unknown);
    compare("", "h", ">", "-1", Proof::Proved);
    compare("", "0", ">", "h", Proof::Disproved);
    compare("", "h", ">=", "h % 4", Proof::Proved);
    compare("", "4", ">", "h % 4", Proof::Proved);
    compare("", "h % 4", ">=", "4", Proof::Disproved);
    compare("", "w", ">", "h % w", Proof::Proved);
    compare("", "h", ">=", "div(h, 3)", Proof::Proved);
    compare("", "h", ">=", "w*div(h, w)", Proof::Proved);
    compare("", "2*ceil_div(h, 2)", ">=", "h", Proof::Proved);
    compare("", "h + 1", ">=", "2*ceil_div(h, 2)", Proof::Proved);
    compare("", "max(h, w)", ">=", "w", Proof::Proved);
    compare("", "min(h, w)", ">", "w", Proof::Disproved);
    compare("", "512", ">=", "min(h, 512)", Proof::Proved);
    compare("h >= 3", "div(h - 3, 2) + 1", ">=", "1", Proof::Proved);
    compare("512 >= s", "512*b", ">=", "b*s", Proof::Proved);
    compare("512 >= s", "b*s", ">", "512*b", Proof::Disproved);
    compare("h >= 1; w >= 1", "h*w", ">=", "w", Proof::Proved);
    compare("h >= 1; w >= 1", "h*w", ">=", "1", Proof::Proved);
    compare("h >= w; w >= s", "h", ">=", "s", Proof::Proved);
    compare("h + w >= 4; 1 >= w", "h", ">=", "3", Proof::Proved);
    compare("2*h >= 5", "h", ">=", "3", Proof::Proved);
    // The last window of a strided convolution lies within its input.
    compare("h >= 3", "h", ">", "2*(div(h - 3, 2) + 1 - 1) + 3 - 1", Proof::Proved);
}

#[test]
fn divisibility_is_proved_or_disproved() {
    compare("", "4*h", "%", "2", Proof::Proved);
    compare("", "4*h + 1", "%", "2", Proof::Disproved);
    compare("", "h", "%", "2", Proof::Unknown);
    compare("", "h*w", "%", "w", Proof::Proved);
    compare("", "h*h - 1", "%", "h + 1", Proof::Proved);
    compare("4|h", "h", "%", "2", Proof::Proved);
    compare("4|h", "3*h + 8", "%", "4", Proof::Proved);
    compare("4|h", "h + 2", "%", "4", Proof::Disproved);
    compare("heads|d", "d", "%", "heads", Proof::Proved);
    compare("heads|d", "b*d", "%", "heads", Proof::Proved);
    compare("2|h + 1", "h", "%", "2", Proof::Disproved);
    compare("4|h - 6", "h - 6", "%", "2", Proof::Proved);
    compare("", "h", "%", "0", Proof::Unknown);
}

#[test]
fn exact_quotients_need_a_proof() {
    let none = Facts::default();
    assert_eq!(dim("h*w + 2*w").exact_div(&dim("w"), &none), Some(dim("h + 2")));
    assert_eq!(dim("h").exact_div(&dim("2"), &none), None);
    assert_eq!(dim("h").exact_div(&dim("0"), &none), None);
    assert_eq!(dim("d").exact_div(&dim("heads"), &facts("heads|d")), Some(dim("div(d, heads)")));
    assert_eq!(dim("d").exact_div(&dim("heads"), &facts("d == 64*heads")), Some(dim("64")));
}

#[test]
fn patterns_are_solved() {
    let solved = |pattern: &str, value: &str| {
        solve(&dim(pattern), &Symbol::new("u"), &dim(value), &Facts::default()).map(|found| found.to_string())
    };
    assert_eq!(solved("4*u", "512").as_deref(), Some("128"));
    assert_eq!(solved("u*h + 1", "h*w + 1").as_deref(), Some("w"));
    assert_eq!(solved("3 - u", "1").as_deref(), Some("2"));
    assert_eq!(solved("4*u", "510"), None);
    assert_eq!(solved("u + 4", "2"), None, "a size below 0");
    assert_eq!(solved("u*u", "4"), None);
    assert_eq!(solved("div(u, 2)", "4"), None);
    assert_eq!(solved("h", "4"), None);
    assert_eq!(solved("u", "u + 1"), None);
}

#[test]
fn broadcasting_stretches_only_literal_ones() {
    let none = Facts::default();
    assert_eq!(none.broadcast(&shape("batch, 1, h"), &shape("4, 1")), Ok(shape("batch, 4, h")));
    assert_eq!(none.broadcast(&Shape::scalar(), &shape("batch")), Ok(shape("batch")));
    let error = none.broadcast(&shape("batch, 3"), &shape("n, 3")).unwrap_err();
    assert_eq!((error.axis_from_right, error.disproved), (1, false));
    let error = none.broadcast(&shape("batch, 3"), &shape("4")).unwrap_err();
    assert_eq!((error.axis_from_right, error.disproved), (0, true));
    let one = facts("n == 1");
    assert!(one.broadcast(&shape("n"), &shape("h")).is_err(), "a symbolic size never stretches");
    assert_eq!(facts("n == 4").broadcast(&shape("n"), &shape("4")), Ok(shape("4")));
}

#[test]
fn shapes_print_and_count() {
    assert_eq!(shape("batch, 3").to_string(), "[batch, 3]");
    assert_eq!(shape("batch, 3, 2*h").elements().to_string(), "6*batch*h");
    assert_eq!(Shape::scalar().elements(), Dim::constant(1));
    assert_eq!(shape("2, 3").as_consts(), Some(vec![2, 3]));
    assert_eq!(shape("2, h").as_consts(), None);
}

#[test]
fn evaluation_reports_what_is_wrong() {
    let env = BTreeMap::from([(Symbol::new("h"), 0), (Symbol::new("w"), i64::MAX)]);
    assert_eq!(dim("w + h").eval(&env), Ok(i64::MAX));
    assert_eq!(dim("w + 1").eval(&env), Err(EvalError::Overflow));
    assert_eq!(dim("w*w*w*w").eval(&env), Err(EvalError::Overflow));
    assert_eq!(dim("div(w, h)").eval(&env), Err(EvalError::DivisionByZero));
    assert_eq!(dim("div(w, 0)").eval(&env), Err(EvalError::DivisionByZero));
    assert_eq!(dim("w % h").eval(&env), Err(EvalError::DivisionByZero));
    assert_eq!(dim("x + h").eval(&env), Err(EvalError::Unbound(Symbol::new("x"))));
}

#[test]
fn leaving_the_range_poisons() {
    let large = Dim::constant(i64::MAX);
    let poison = &large + 1;
    assert!(poison.overflowed());
    assert!((&large * &large).overflowed());
    assert!(Dim::constant(i64::MIN).overflowed());
    assert!(Dim::from(usize::MAX).overflowed());
    for spoilt in [
        &poison + 1,
        poison.div_floor(&dim("h")),
        dim("h").modulo(&poison),
        Dim::min(&poison, &dim("h")),
        -&poison,
        &poison * dim("0"),
        dim("h*h").substitute(&BTreeMap::from([(Symbol::new("h"), poison.clone())])),
    ] {
        assert!(spoilt.overflowed());
        assert_eq!(spoilt.as_const(), None);
    }
    let facts = Facts::default();
    assert_eq!(facts.prove_eq(&poison, &poison), Proof::Unknown);
    assert_eq!(facts.prove_ge(&poison, &poison), Proof::Unknown);
    assert_eq!(facts.prove_divisible(&poison, &dim("2")), Proof::Unknown);
    assert!(poison.exact_div(&Dim::constant(1), &facts).is_none());
    assert_eq!(poison.eval(&BTreeMap::new()), Err(EvalError::Overflow));
    assert!(facts.broadcast(&Shape(vec![poison.clone()]), &Shape(vec![poison])).is_err());
}

#[test]
fn growth_is_limited() {
    let mut power = dim("a + b + c + d");
    for _ in 0..8 {
        power = &power * &power;
    }
    assert!(power.overflowed());
    let mut nested = dim("h");
    for i in 0..10_000 {
        nested = (nested + 1).div_floor(&Dim::symbol(&format!("s{i}")));
    }
    assert!(nested.overflowed());
    let mut doubled = dim("h");
    for i in 0..100 {
        doubled = (&doubled * &doubled + &doubled).modulo(&Dim::symbol(&format!("s{i}")));
    }
    assert!(doubled.overflowed());
}

#[test]
fn the_deepest_dimension_can_be_worked_with() {
    let (mut nested, mut next) = (dim("h"), dim("h"));
    for i in 0.. {
        next = 2 * (&next + 1).modulo(&Dim::symbol(&format!("s{i}")));
        if next.overflowed() {
            break;
        }
        nested = next.clone();
    }
    assert_eq!(nested.to_string().parse::<Dim>(), Ok(nested.clone()));
    let renamed = nested.substitute(&BTreeMap::from([(Symbol::new("h"), dim("w"))]));
    assert_eq!(renamed.substitute(&BTreeMap::from([(Symbol::new("w"), dim("h"))])), nested);
    let facts = facts("h >= 4; w >= h");
    assert_eq!(facts.prove_eq(&nested, &renamed), Proof::Unknown);
    assert_eq!(facts.prove_ge(&nested, &Dim::constant(0)), Proof::Proved);
    assert!(nested.eval(&nested.symbols().into_iter().map(|symbol| (symbol, 7)).collect()).is_ok());
}

#[test]
fn reading_reports_what_is_wrong() {
    for (text, message) in [
        ("", "expected a dimension at offset 0"),
        ("h +", "expected a dimension at offset 3"),
        ("h w", "expected an operator at offset 2"),
        ("div(h)", "expected `,` at offset 5"),
        ("div(h, w, 2)", "expected `)` at offset 8"),
        ("(h", "expected `)` at offset 2"),
        ("99999999999999999999", "99999999999999999999 does not fit 64 bits at offset 0"),
        ("h / 2", "h is not known to be divisible by 2 at offset 4"),
        ("9223372036854775807 + 1", "dimension out of range at offset 0"),
        ("é", "expected a dimension at offset 0"),
    ] {
        assert_eq!(text.parse::<Dim>().map_err(|error| error.to_string()), Err(message.to_string()));
    }
    let deep = "(".repeat(100_000);
    assert!(deep.parse::<Dim>().is_err_and(|error| error.message == "nested too deeply"));
    assert!("-".repeat(100_000).parse::<Dim>().is_err());
}
