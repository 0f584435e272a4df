//! Derivatives against finite differences and against each other.

use crate::functions::{assert_close, dot, evaluate, forward, noise, parameters, reverse, run, type_of};
use graph::{Array, Builder, Function, Module, NodeId, Op, Sample, Type};

/// One operator with its operands, a cotangent of its result and a tangent of each floating operand as parameters.
struct Case {
    inputs: Vec<Array>,
    /// Which operands vary.
    floats: Vec<usize>,
    cotangent: Array,
    tangents: Vec<Array>,
    what: String,
}

fn cases() -> Vec<(Op, Case)> {
    let samples: Vec<Sample> = Op::all_samples().into_iter().flat_map(|(_, samples)| samples).collect();
    let mut cases = Vec::new();
    for sample in samples.into_iter().filter(|sample| sample.differentiable) {
        let output = evaluate(&sample.op, &sample.inputs);
        let floats: Vec<usize> =
            (0..sample.inputs.len()).filter(|k| sample.inputs[*k].dtype.is_float()).collect();
        let case = Case {
            cotangent: noise(&output, 1),
            tangents: floats.iter().map(|k| noise(&sample.inputs[*k], 2 + *k as u64)).collect(),
            what: format!(
                "{:?} of {:?}",
                sample.op,
                sample.inputs.iter().map(Array::shape).collect::<Vec<_>>()
            ),
            inputs: sample.inputs,
            floats,
        };
        cases.push((sample.op, case));
    }
    assert!(cases.len() > 200);
    cases
}

impl Case {
    fn types(&self) -> Vec<Type> {
        self.all().iter().map(type_of).collect()
    }

    /// Operands, cotangent, tangents.
    fn all(&self) -> Vec<Array> {
        let mut all = self.inputs.clone();
        all.push(self.cotangent.clone());
        all.extend(self.tangents.iter().cloned());
        all
    }

    /// The operands moved along their tangents.
    fn moved(&self, by: f64) -> Vec<Array> {
        let mut inputs = self.inputs.clone();
        for (k, tangent) in self.floats.iter().zip(&self.tangents) {
            inputs[*k].values = &inputs[*k].values + &(&tangent.values * by);
        }
        inputs
    }

    fn build(
        &self,
        op: &Op,
        build: impl FnOnce(&mut Builder<'_>, NodeId, &[NodeId]) -> Vec<NodeId>,
    ) -> (Function, Vec<NodeId>) {
        let module = Module::default();
        let mut function = Function::new("case");
        let mut b = Builder::new(&module, &mut function);
        let parameters = parameters(&mut b, &self.types());
        let output = b.add(op.clone(), &parameters[..self.inputs.len()]);
        let results = build(&mut b, output, &parameters);
        (function, results)
    }

    fn seeds(&self, parameters: &[NodeId]) -> Vec<(NodeId, NodeId)> {
        let tangents = &parameters[self.inputs.len() + 1..];
        self.floats.iter().map(|k| parameters[*k]).zip(tangents.iter().copied()).collect()
    }
}

/// Both first derivatives along a direction, against a central difference of the definition.
#[test]
fn first_derivatives() {
    const H: f64 = 1e-5;
    for (op, case) in cases() {
        let (function, results) = case.build(&op, |b, output, parameters| {
            let wrt: Vec<NodeId> = case.floats.iter().map(|k| parameters[*k]).collect();
            let mut results = reverse(b, &[(output, parameters[case.inputs.len()])], &wrt);
            results.push(forward(b, &case.seeds(parameters), output));
            results
        });
        let values = run(&function, &results, &case.all());
        let (tangent, cotangents) = values.split_last().unwrap();
        let (above, below) = (evaluate(&op, &case.moved(H)), evaluate(&op, &case.moved(-H)));
        let difference = (dot(&case.cotangent, &above) - dot(&case.cotangent, &below)) / (2.0 * H);
        let backward: f64 = cotangents.iter().zip(&case.tangents).map(|(x, u)| dot(x, u)).sum();
        assert_close(backward, difference, 1e-6, &format!("vjp of {}", case.what));
        assert_close(dot(&case.cotangent, tangent), backward, 1e-10, &format!("adjoint of {}", case.what));
        for (place, (up, down)) in above.values.iter().zip(below.values.iter()).enumerate() {
            let jvp = tangent.values.iter().nth(place).copied().unwrap();
            assert_close(jvp, (up - down) / (2.0 * H), 1e-6, &format!("jvp of {}", case.what));
        }
    }
}

/// Each element by itself, so that no mistake hides in a sum.
#[test]
fn gradients_element_by_element() {
    const H: f64 = 1e-5;
    for (op, case) in cases() {
        if case.inputs.iter().map(|x| x.values.len()).sum::<usize>() > 60 {
            continue;
        }
        let (function, results) = case.build(&op, |b, output, parameters| {
            let wrt: Vec<NodeId> = case.floats.iter().map(|k| parameters[*k]).collect();
            reverse(b, &[(output, parameters[case.inputs.len()])], &wrt)
        });
        let gradients = run(&function, &results, &case.all());
        for (operand, gradient) in case.floats.iter().zip(&gradients) {
            for element in 0..gradient.values.len() {
                let at = |by: f64| {
                    let mut inputs = case.inputs.clone();
                    *inputs[*operand].values.iter_mut().nth(element).unwrap() += by;
                    dot(&case.cotangent, &evaluate(&op, &inputs))
                };
                let difference = (at(H) - at(-H)) / (2.0 * H);
                let value = gradient.values.iter().nth(element).copied().unwrap();
                assert_close(
                    value,
                    difference,
                    1e-6,
                    &format!("element {element} of operand {operand}: {}", case.what),
                );
            }
        }
    }
}

/// The derivative of ⟨gradient, u⟩, in reverse over reverse and forward over reverse, against a central difference.
#[test]
fn second_derivatives() {
    const H: f64 = 1e-5;
    for (op, case) in cases() {
        if case.inputs.iter().map(|x| x.values.len()).sum::<usize>() > 130 {
            continue;
        }
        let (function, results) = case.build(&op, |b, output, parameters| {
            let wrt: Vec<NodeId> = case.floats.iter().map(|k| parameters[*k]).collect();
            let seed = parameters[case.inputs.len()];
            let gradients = reverse(b, &[(output, seed)], &wrt);
            let seeds = case.seeds(parameters);
            let from: Vec<(NodeId, NodeId)> =
                gradients.iter().copied().zip(seeds.iter().map(|(_, tangent)| *tangent)).collect();
            let mut with_cotangent = wrt.clone();
            with_cotangent.push(seed);
            let mut results = reverse(b, &from, &with_cotangent);
            results.extend(gradients.iter().map(|gradient| forward(b, &seeds, *gradient)));
            results.extend(gradients);
            results
        });
        let n = case.floats.len();
        let along = |by: f64| {
            let mut inputs = case.moved(by);
            inputs.push(case.cotangent.clone());
            inputs.extend(case.tangents.iter().cloned());
            let values = run(&function, &results, &inputs);
            values[2 * n + 1..].iter().zip(&case.tangents).map(|(x, u)| dot(x, u)).sum::<f64>()
        };
        let difference = (along(H) - along(-H)) / (2.0 * H);
        let values = run(&function, &results, &case.all());
        let pair = |values: &[Array]| values.iter().zip(&case.tangents).map(|(x, u)| dot(x, u)).sum::<f64>();
        let size = case.cotangent.values.len().max(1) as f64;
        assert_close(
            pair(&values[..n]),
            difference,
            1e-5 * size,
            &format!("reverse over reverse of {}", case.what),
        );
        assert_close(
            pair(&values[n + 1..2 * n + 1]),
            difference,
            1e-5 * size,
            &format!("forward over reverse of {}", case.what),
        );
        // The gradient is linear in the cotangent, so ⟨its derivative by the cotangent, cotangent⟩ is ⟨gradient, u⟩.
        assert_close(
            dot(&values[n], &case.cotangent),
            along(0.0),
            1e-9,
            &format!("by the cotangent: {}", case.what),
        );
    }
}

/// Rules at corners: what semantics says.
#[test]
fn corners() {
    let gradient = |op: Op, inputs: &[f64]| -> Vec<f64> {
        let inputs: Vec<Array> = inputs.iter().map(|x| Array::scalar(graph::DType::F64, *x)).collect();
        let module = Module::default();
        let mut function = Function::new("corner");
        let mut b = Builder::new(&module, &mut function);
        let parameters = parameters(&mut b, &inputs.iter().map(type_of).collect::<Vec<_>>());
        let output = b.add(op, &parameters);
        let one = b.full_like(output, 1.0);
        let results = reverse(&mut b, &[(output, one)], &parameters);
        run(&function, &results, &inputs).iter().map(|x| x.at(&[])).collect()
    };
    let unary = |op, x: f64| gradient(Op::from(graph::ops::Unary { op }), &[x])[0];
    let binary = |op, x: f64, y: f64| gradient(Op::from(graph::ops::Binary { op }), &[x, y]);
    assert_eq!(unary(kernel::Unary::Abs, 0.0), 0.0);
    assert_eq!(unary(kernel::Unary::Floor, 2.5), 0.0);
    assert_eq!(binary(kernel::Binary::Max, 1.0, 1.0), [0.5, 0.5]);
    assert_eq!(binary(kernel::Binary::Min, 1.0, 2.0), [1.0, 0.0]);
    assert_eq!(binary(kernel::Binary::Pow, 0.0, 0.0), [0.0, 0.0]);
    assert_eq!(binary(kernel::Binary::Pow, 0.0, 2.0), [0.0, 0.0]);
    assert_eq!(binary(kernel::Binary::Pow, -3.0, 2.0)[0], -6.0);
}

/// A reduced maximum shares among ties, a product survives zeros.
#[test]
fn reductions_at_corners() {
    let gradient = |combine, values: &[f64]| -> Vec<f64> {
        let x = Array::new(graph::DType::F64, &[values.len()], values.to_vec()).unwrap();
        let module = Module::default();
        let mut function = Function::new("corner");
        let mut b = Builder::new(&module, &mut function);
        let parameters = parameters(&mut b, &[type_of(&x)]);
        let output = b.reduce(combine, &[0], parameters[0]);
        let one = b.full_like(output, 1.0);
        let results = reverse(&mut b, &[(output, one)], &parameters);
        run(&function, &results, &[x])[0].values.iter().copied().collect()
    };
    assert_eq!(gradient(kernel::Combine::Max, &[1.0, 4.0, 4.0, 2.0]), [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(gradient(kernel::Combine::Product, &[2.0, 0.0, 5.0]), [0.0, 10.0, 0.0]);
    assert_eq!(gradient(kernel::Combine::Product, &[0.0, 0.0, 5.0]), [0.0, 0.0, 0.0]);
}
