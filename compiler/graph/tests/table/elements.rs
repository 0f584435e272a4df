//! Element functions, run as their form says, against the definition.

use crate::functions::{assert_same, evaluate, type_of};
use crate::scalar::{Loads, eval};
use graph::{Array, ElementCx, Op, Sample, Type, ops::Argsort};
use kernel::{Combine, DType, Expr, Form, VarId};
use shape::Dim;

#[test]
fn element_functions_are_the_definition() {
    let mut forms = [0; 7];
    for (name, samples) in Op::all_samples() {
        for sample in samples {
            let types: Vec<_> = sample.inputs.iter().map(type_of).collect();
            let types: Vec<_> = types.iter().collect();
            let expected = evaluate(&sample.op, &sample.inputs);
            let output = type_of(&expected);
            let Some(form) = sample.op.form(&types, &output) else {
                assert!(matches!(name, "const"), "{name} is for kernels");
                continue;
            };
            let extents = |dims: &[Dim]| -> Vec<usize> {
                dims.iter().map(|dim| dim.as_const().expect("constant sizes") as usize).collect()
            };
            let shape = expected.shape().to_vec();
            let (reduced, outer) = match &form {
                Form::Map | Form::Alias | Form::Order { .. } => (Vec::new(), shape.clone()),
                Form::Recurrence { axis, reverse } => {
                    forms[5] += 1;
                    let walked = recurrence(&sample, &types, &output, (*axis, *reverse));
                    assert_same(&walked, &expected, 1e-12, &format!("{:?} of {types:?}", sample.op));
                    continue;
                }
                Form::Reduce { extents: dims, .. } | Form::Contract { extents: dims } => {
                    (extents(dims), shape.clone())
                }
                Form::Scatter => (Vec::new(), sample.inputs[2].shape().to_vec()),
            };
            let index: Vec<Expr> =
                (0..outer.len() + reduced.len()).map(|k| Expr::var(VarId::new(k))).collect();
            let shapes = types.iter().map(|ty| ty.shape.0.clone()).collect();
            let mut reader = Loads { inputs: &sample.inputs, shapes };
            let mut cx =
                ElementCx { reader: &mut reader, inputs: &types, output: &output, float: DType::F32 };
            let element = sample.op.element(&mut cx, &index);
            let at = |expr: &Expr, index: &[usize]| {
                let index: Vec<i64> = index.iter().map(|i| *i as i64).collect();
                eval(expr, &index, &sample.inputs).number()
            };
            let value = match &form {
                Form::Map | Form::Alias => {
                    forms[usize::from(form == Form::Alias)] += 1;
                    Array::from_fn(output.dtype, &shape, |index| at(&element, index))
                }
                Form::Reduce { combine, .. } => {
                    forms[2] += 1;
                    Array::from_fn(output.dtype, &shape, |index| {
                        let all: Vec<f64> = indices(&reduced)
                            .map(|within| at(&element, &[index, &within].concat()))
                            .collect();
                        combined(*combine, output.dtype, &all)
                    })
                }
                Form::Contract { .. } => {
                    forms[3] += 1;
                    Array::from_fn(output.dtype, &shape, |index| {
                        indices(&reduced).map(|within| at(&element, &[index, &within].concat())).sum::<f64>()
                            + 0.0
                    })
                }
                Form::Recurrence { .. } => unreachable!("walked above"),
                Form::Order { axis, descending } => {
                    forms[6] += 1;
                    let keys = Array::from_fn(sample.inputs[0].dtype, &shape, |index| at(&element, index));
                    evaluate(&Op::from(Argsort { axis: *axis, descending: *descending }), &[keys])
                }
                Form::Scatter => {
                    forms[4] += 1;
                    let Op::ScatterAdd(scatter) = &sample.op else { panic!("only scatter_add scatters") };
                    let place = scatter.place(&mut cx, &index);
                    let mut sums = sample.inputs[0].clone();
                    for index in indices(&outer) {
                        let target: Vec<usize> =
                            place.iter().map(|place| at(place, &index) as usize).collect();
                        sums.values[target.as_slice()] += at(&element, &index);
                    }
                    sums
                }
            };
            let what = format!("{:?} of {types:?}", sample.op);
            assert_same(&value, &expected, 1e-12, &what);
        }
    }
    assert!(forms.iter().all(|count| *count > 0), "{forms:?}");
}

/// Element by element along the axis, each asked with the value of the one before.
fn recurrence(sample: &Sample, types: &[&Type], output: &Type, (axis, reverse): (usize, bool)) -> Array {
    let shape: Vec<usize> =
        output.shape.iter().map(|dim| dim.as_const().expect("constant") as usize).collect();
    let mut result = Array::from_fn(output.dtype, &shape, |_| 0.0);
    let mut all: Vec<Vec<usize>> = indices(&shape).collect();
    if reverse {
        all.reverse();
    }
    for index in all {
        let mut before = index.clone();
        let first = if reverse { shape[axis] - 1 } else { 0 };
        let value = if index[axis] == first {
            0.0
        } else {
            before[axis] = if reverse { index[axis] + 1 } else { index[axis] - 1 };
            result.at(&before)
        };
        let mut asked: Vec<Expr> = index.iter().map(|i| Expr::int(*i as i64)).collect();
        asked.push(Expr::number(output.dtype.concrete(DType::F32), value));
        let shapes = types.iter().map(|ty| ty.shape.0.clone()).collect();
        let mut reader = Loads { inputs: &sample.inputs, shapes };
        let mut cx = ElementCx { reader: &mut reader, inputs: types, output, float: DType::F32 };
        let element = sample.op.element(&mut cx, &asked);
        result.values[index.as_slice()] = eval(&element, &[], &sample.inputs).number();
    }
    result
}

fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let all = Array::from_fn(graph::DType::F64, shape, |_| 0.0);
    let indices: Vec<Vec<usize>> =
        all.values.indexed_iter().map(|(index, _)| ndarray::Dimension::slice(&index).to_vec()).collect();
    indices.into_iter()
}

/// By the definition of a reduction of one axis.
fn combined(combine: Combine, dtype: graph::DType, values: &[f64]) -> f64 {
    let empty = values.is_empty();
    if empty && !matches!(combine, Combine::Sum | Combine::Product | Combine::Any | Combine::All) {
        panic!("{combine:?} of nothing");
    }
    let dtype = if matches!(combine, Combine::ArgMax | Combine::ArgMin) { graph::DType::F64 } else { dtype };
    let array = Array::new(dtype, &[values.len()], values.to_vec()).expect("one axis");
    evaluate(&Op::from(graph::ops::Reduce { combine, axes: vec![0] }), &[array]).at(&[])
}
