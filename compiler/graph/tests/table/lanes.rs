//! The batch rule against a loop over the lanes.

use crate::functions::{assert_same, evaluate, parameters, run, run_with, type_of};
use graph::{Array, Builder, Function, Module, Op};
use ndarray::Axis;
use shape::Dim;

#[test]
fn batching_is_a_loop() {
    for (name, samples) in Op::all_samples() {
        for sample in samples {
            let n = sample.inputs.len();
            let everything: usize = sample.inputs.iter().map(|x| x.values.len()).sum();
            let masks: Vec<u32> = if n == 0 { vec![0] } else { (0..1 << n.min(3)).collect() };
            for mask in masks {
                for lanes in [0usize, 1, 3] {
                    if name == "random" || everything > 400 && lanes == 3 {
                        continue;
                    }
                    let batched: Vec<bool> = (0..n).map(|k| mask >> k & 1 == 1).collect();
                    check(&sample.op, &sample.inputs, &batched, lanes);
                }
            }
        }
    }
}

/// Lanes of random numbers differ, and seeds that differ between lanes are refused, not ignored.
#[test]
fn random_lanes() {
    let shape = [Dim::from(5i64)].into_iter().collect();
    let op = Op::from(graph::ops::Random {
        distribution: graph::ops::Distribution::Uniform,
        dtype: graph::DType::F32,
        shape,
        draw: 0,
    });
    let inputs = vec![Array::scalar(graph::DType::I64, 3.0); 3];
    let module = Module::default();
    let mut function = Function::new("lanes");
    let mut b = Builder::new(&module, &mut function);
    let parameters = parameters(&mut b, &inputs.iter().map(type_of).collect::<Vec<_>>());
    let size = Dim::from(2i64);
    let output = op.batch(&mut b, &parameters, &[false; 3], &size).unwrap();
    assert!(op.batch(&mut b, &parameters, &[true, false, false], &size).is_err());
    let value = run(&function, &[output], &inputs).remove(0);
    assert_eq!(value.shape(), [2, 5]);
    assert_ne!(value.values.index_axis(Axis(0), 0), value.values.index_axis(Axis(0), 1));
}

fn check(op: &Op, inputs: &[Array], batched: &[bool], lanes: usize) {
    let types: Vec<_> = inputs.iter().map(type_of).collect();
    let bound = op.bound(&types.iter().collect::<Vec<_>>());
    // Every lane its own values, indices still in bounds.
    let of_lane = |operand: usize, lane: usize| {
        let mut x = inputs[operand].clone();
        let extent =
            bound.as_ref().filter(|bound| bound.operand == operand).and_then(|bound| bound.extent.as_const());
        x.values.mapv_inplace(|value| match extent {
            Some(extent) => (value as i64 + lane as i64).rem_euclid(extent.max(1)) as f64,
            None if x.dtype.is_float() => value * (1.0 + 0.125 * lane as f64),
            None if x.dtype.is_bool() => f64::from(u8::from((value != 0.0) != (lane % 2 == 1))),
            None => value,
        });
        x
    };
    let arguments: Vec<Array> = (0..inputs.len())
        .map(|operand| {
            if !batched[operand] {
                return inputs[operand].clone();
            }
            let all: Vec<Array> = (0..lanes).map(|lane| of_lane(operand, lane)).collect();
            let shape = [&[lanes], inputs[operand].shape()].concat();
            Array::from_fn(inputs[operand].dtype, &shape, |index| all[index[0]].at(&index[1..]))
        })
        .collect();
    let module = Module::default();
    let mut function = Function::new("lanes");
    let mut b = Builder::new(&module, &mut function);
    // How many lanes there are is known only when it runs.
    let size = Dim::symbol("lanes");
    let types_of_lanes = arguments.iter().zip(batched).map(|(x, batched)| {
        let mut ty = type_of(x);
        if *batched {
            ty.shape.0[0] = size.clone();
        }
        ty
    });
    let parameters = parameters(&mut b, &types_of_lanes.collect::<Vec<_>>());
    let what = format!("{op:?} of {types:?}, batched {batched:?}, {lanes} lanes");
    let output = op.batch(&mut b, &parameters, batched, &size);
    let output = output.unwrap_or_else(|fault| panic!("{what}: {}", fault.message));
    let value = run_with(&function, &[output], &arguments, &[("lanes", lanes as i64)]).remove(0);
    assert_eq!(value.shape()[0], lanes, "{what}");
    for lane in 0..lanes {
        let inputs: Vec<Array> = (0..inputs.len())
            .map(|operand| if batched[operand] { of_lane(operand, lane) } else { inputs[operand].clone() })
            .collect();
        let expected = evaluate(op, &inputs);
        let got = Array { dtype: value.dtype, values: value.values.index_axis(Axis(0), lane).to_owned() };
        assert_same(&got, &expected, 1e-12, &what);
    }
}
