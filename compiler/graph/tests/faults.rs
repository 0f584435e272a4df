//! What users read when operands do not fit.

use graph::{
    Array, Builder, DType, Fault, Function, Module, Op, Param, Role, Type,
    ops::{self, Contract},
};
use shape::{Dim, Facts, Shape};

fn ty(text: &str) -> Type {
    let (dtype, rest) = text.split_once('[').unwrap_or((text, "]"));
    let dims = rest.trim_end_matches(']').split(',').map(str::trim).filter(|dim| !dim.is_empty());
    let shape = dims.map(|dim| dim.parse().expect("a dimension")).collect();
    Type::new(DType::parse(dtype).expect("a dtype"), shape)
}

fn infer(op: impl Into<Op>, operands: &[&str]) -> Result<Vec<Type>, Box<Fault>> {
    let types: Vec<Type> = operands.iter().map(|text| ty(text)).collect();
    op.into().infer_in(&Module::default(), &Facts::default(), &types.iter().collect::<Vec<_>>())
}

#[track_caller]
fn rejects(op: impl Into<Op>, operands: &[&str], code: &str, message: &str) -> Fault {
    let fault = *infer(op, operands).expect_err("operands that do not fit");
    assert_eq!((fault.code, fault.message.as_str()), (code, message));
    fault
}

#[track_caller]
fn accepts(op: impl Into<Op>, operands: &[&str], result: &str) {
    let types = infer(op, operands).unwrap_or_else(|fault| panic!("{}", fault.message));
    assert_eq!(types, [ty(result)]);
}

fn dims(text: &[&str]) -> Vec<Dim> {
    text.iter().map(|dim| dim.parse().expect("a dimension")).collect()
}

#[test]
fn elementwise() {
    let add = || ops::Binary { op: kernel::Binary::Add };
    let fault = rejects(
        add(),
        &["f32[batch, 3]", "f32[batch, 4]"],
        "E0301",
        "`+` needs equal shapes, but [batch, 3] and [batch, 4] differ: 3 ≠ 4",
    );
    let at = |operand, text: &str| (operand, text.to_string());
    assert_eq!(fault.labels, [at(0, "axis 1 of f32[batch, 3] is 3"), at(1, "axis 1 of f32[batch, 4] is 4")]);
    assert_eq!(fault.dims, dims(&["3", "4"]));
    rejects(
        add(),
        &["f32[n]", "f32[m]"],
        "E0301",
        "`+` needs equal shapes, but [n] and [m] are not known to agree: n and m",
    );
    rejects(add(), &["f32[n]", "f64[n]"], "E0302", "`+` needs equal dtypes, but f32 ≠ f64");
    rejects(add(), &["bool[n]", "bool[n]"], "E0302", "`+` needs numbers, but got bool");
    rejects(
        ops::Unary { op: kernel::Unary::Sqrt },
        &["i32[n]"],
        "E0302",
        "`sqrt` needs a floating dtype, but got i32",
    );
    accepts(add(), &["f32[2*n, 3]", "f32[n + n, 3]"], "f32[2*n, 3]");
    accepts(ops::Binary { op: kernel::Binary::Lt }, &["i32[n]", "i32[n]"], "bool[n]");
}

#[test]
fn movement() {
    rejects(
        ops::Reshape { shape: Shape(dims(&["batch", "15"])) },
        &["f32[batch, 4, 4]"],
        "E0301",
        "[batch, 4, 4] cannot be reshaped to [batch, 15]: numbers of elements are not known to agree: 16*batch and 15*batch",
    );
    rejects(
        ops::Broadcast { shape: Shape(dims(&["3", "5"])) },
        &["f32[4]"],
        "E0301",
        "[4] cannot be broadcast to [3, 5]: sizes differ: 4 ≠ 5",
    );
    // A symbol never stretches, even where it may be 1.
    assert!(infer(ops::Broadcast { shape: Shape(dims(&["3"])) }, &["f32[n]"]).is_err());
    accepts(ops::Broadcast { shape: Shape(dims(&["n", "3"])) }, &["f32[1, 3]"], "f32[n, 3]");
    let slice = |start: &str, extent: &str, stride| ops::Slice {
        start: dims(&[start]),
        extent: dims(&[extent]),
        stride: vec![stride],
    };
    rejects(
        slice("2", "7", 1),
        &["f32[8]"],
        "E0301",
        "a slice of axis 0 of [8] is out of bounds: its last element is at 8, but there are 8",
    );
    rejects(
        slice("n - 1", "1", 1),
        &["f32[n]"],
        "E0301",
        "a slice of axis 0 of [n] is out of bounds: its first element is at n - 1, which is not known to be at least 0",
    );
    let half = infer(slice("0", "ceil_div(n, 2)", 2), &["f32[n]"])
        .unwrap_or_else(|fault| panic!("{}", fault.message));
    assert_eq!(half[0].shape.0, dims(&["ceil_div(n, 2)"]));
    accepts(slice("n - 1", "n", -1), &["f32[n]"], "f32[n]");
    rejects(
        ops::Transpose { perm: vec![0, 0] },
        &["f32[2, 3]"],
        "E0303",
        "`transpose` needs each of the 2 axes once, but got [0, 0]",
    );
    rejects(
        ops::Concat { axis: 0 },
        &["f32[2, 3]", "f32[2, 4]"],
        "E0301",
        "`concat` along axis 0 needs equal sizes elsewhere, but those of axis 1 differ: 3 ≠ 4",
    );
    let window = |size| ops::Window { axes: vec![0], size: vec![size], stride: vec![1], dilation: vec![1] };
    accepts(window(3), &["f32[2*n + 2]"], "f32[2*n, 3]");
    let fault = rejects(
        window(3),
        &["f32[n]"],
        "E0301",
        "a window of 3 (dilation 1) is not known to fit axis 0 of [n]",
    );
    assert_eq!(fault.help.as_deref(), Some("state the least size: `require n >= 3`"));
    let pad = |low: &str, high: &str| ops::Pad { low: dims(&[low]), high: dims(&[high]), interior: vec![0] };
    accepts(pad("1", "k"), &["f32[n]", "f32"], "f32[k + n + 1]");
    assert!(infer(pad("-1", "0"), &["f32[n]", "f32"]).is_err());
}

#[test]
fn reductions_and_products() {
    let reduce = |combine, axes: &[usize]| ops::Reduce { combine, axes: axes.to_vec() };
    accepts(reduce(kernel::Combine::Sum, &[0, 2]), &["f32[n, 3, m]"], "f32[3]");
    rejects(
        reduce(kernel::Combine::Max, &[1]),
        &["f32[n, 0]"],
        "E0301",
        "`max` over axis 1 of [n, 0], which is empty, has no value",
    );
    rejects(
        reduce(kernel::Combine::Sum, &[2]),
        &["f32[n, 3]"],
        "E0303",
        "`sum` along axis 2 of a tensor of rank 2",
    );
    let dot = |k: &str| Contract::dot(&[], &dims(&["n"]), &dims(&["3"]), &dims(&[k]));
    accepts(dot("20"), &["f32[n, 20]", "f32[20, 3]"], "f32[n, 3]");
    let fault = rejects(
        dot("20"),
        &["f32[n, 20]", "f32[19, 3]"],
        "E0301",
        "axis 0 of [19, 3] does not fit: sizes differ: 19 ≠ 20",
    );
    assert_eq!(fault.dims, dims(&["19", "20"]));
    let conv = |x: &str, w: &str| {
        let (x, w) = (ty(x), ty(w));
        Contract::conv(&x.shape, &w.shape, &[1], &[1], &Facts::default())
    };
    let fault = conv("f32[n, 3, 8]", "f32[4, 2, 3]").expect_err("channels differ");
    assert_eq!(fault.message, "the channels of input and kernel of a convolution differ: 3 ≠ 2");
    let fault = conv("f32[n, 3, 2]", "f32[4, 3, 4]").expect_err("too large");
    assert_eq!(fault.message, "a kernel that reaches over 4 elements is not known to fit into 2");
    rejects(
        ops::Gather { axis: 0, lanes: 0 },
        &["f32[n, 3]", "f32[k]"],
        "E0302",
        "`gather` needs an integer index, but got f32",
    );
}

/// Sizes past what numbers hold are faults, not panics.
#[test]
fn sizes_out_of_range() {
    let huge = i64::MAX.to_string();
    let huge = Dim::from(huge.parse::<i64>().expect("a number"));
    let shape = Shape(vec![huge.clone() * &huge, huge]);
    assert!(infer(ops::Broadcast { shape: shape.clone() }, &["f32"]).is_err());
    assert!(infer(ops::Iota { shape: shape.clone(), axis: 0 }, &[]).is_err());
    assert!(infer(ops::Reshape { shape }, &["f32[3]"]).is_err());
    let bits = vec![0; 3];
    assert!(infer(ops::Constant { dtype: DType::F32, shape: vec![usize::MAX, 2], bits }, &[]).is_err());
}

/// A callee's dimensions are solved from the operands, whatever the caller calls its own.
#[test]
fn calls_bind_dimensions() {
    let mut module = Module::default();
    let mut callee = Function::new("rows");
    let mut b = Builder::new(&module, &mut callee);
    let x = b.param(Param { name: "x".into(), role: Role::Input, ty: ty("f32[2*n, m]") });
    let y = b.param(Param { name: "y".into(), role: Role::Input, ty: ty("f32[m]") });
    let sum = b.reduce(kernel::Combine::Sum, &[1], x);
    callee.results.push(("sum".into(), Role::Output, sum));
    callee.results.push(("y".into(), Role::Output, y));
    let id = module.functions.push(callee);
    let mut caller = Function::new("caller");
    let mut b = Builder::new(&module, &mut caller);
    let p = b.param(Param { name: "p".into(), role: Role::Input, ty: ty("f32[6*m, n]") });
    let q = b.param(Param { name: "q".into(), role: Role::Input, ty: ty("f32[n]") });
    let results = b.call(id, &[p, q]).unwrap_or_else(|fault| panic!("{}", fault.message));
    let types: Vec<&Type> = results.iter().map(|id| b.ty(*id)).collect();
    assert_eq!(types, [&ty("f32[6*m]"), &ty("f32[n]")]);
    let fault = b.call(id, &[p, p]).expect_err("a matrix for a vector");
    assert_eq!(fault.message, "`rows` takes f32[m] as `y`, but got f32[6*m, n]");
    let fault = b.call(id, &[q]).expect_err("one operand");
    assert_eq!(fault.message, "`rows` takes 2 operands, but got 1");
    // Results of a call are read with `get`, one of those that there are.
    let call = b.add(Op::from(ops::Call { callee: id }), &[p, q]);
    assert!(b.try_add(Op::from(ops::Unary { op: kernel::Unary::Exp }), &[call]).is_err());
    assert!(b.try_add(Op::from(ops::Get { index: 2 }), &[call]).is_err());
}

/// An index out of bounds is an error of the run.
#[test]
fn gathers_check_bounds() {
    let gather = Op::from(ops::Gather { axis: 0, lanes: 0 });
    let x = Array::from_fn(DType::F32, &[3], |index| index[0] as f64);
    for (row, fits) in [(0.0, true), (2.0, true), (3.0, false), (-1.0, false)] {
        let index = Array::scalar(DType::I32, row);
        let result = gather.eval(&[&x, &index], &ty("f32"), &|_| Ok(0));
        assert_eq!(result.is_ok(), fits, "{row}");
    }
}
