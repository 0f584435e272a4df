//! Derivatives against central differences, in the exact interpreter.

use super::{Exact, result_index};
use graph::{Array, Function, Role};
use libtest_mimic::Failed;

/// Elements of one weight that are tried: all of a small one, spread ones of a large one.
const MAX_ELEMENTS: usize = 40;

/// Every gradient of a `grad` entry against its loss.
pub fn of_loss(function: &Function, args: &[Array], found: &[Array], exact: Exact<'_>) -> Result<(), Failed> {
    let loss = function.results.iter().position(|(_, role, _)| *role == Role::Loss).ok_or("no loss")?;
    let mut n_weights = 0;
    for (index, (name, role, _)) in function.results.iter().enumerate() {
        if *role == Role::Gradient {
            let arg =
                function.params.iter().position(|param| param.role == Role::Weight && param.name == *name);
            let arg = arg.ok_or(format!("no weight `{name}`"))?;
            compare(name, arg, &found[index], args, &|args| {
                Ok(sum(&exact(args).map_err(|error| error.0)?[loss]))
            })?;
            n_weights += 1;
        }
    }
    if n_weights == 0 { Err("no gradient".into()) } else { Ok(()) }
}

/// `dx of y by x`: the result `dx` is the derivative of the sum of the result `y` by the input `x`.
pub fn of_output(
    directive: &str,
    function: &Function,
    args: &[Array],
    found: &[Array],
    exact: Exact<'_>,
) -> Result<(), Failed> {
    let words: Vec<&str> = directive.split_whitespace().collect();
    let [gradient, "of", output, "by", input] = words[..] else {
        return Err("`// gradient dx of y by x`".into());
    };
    let index = |name| result_index(function, name).ok_or(format!("there is no result `{name}`"));
    let (gradient_index, output_index) = (index(gradient)?, index(output)?);
    let arg = function
        .params
        .iter()
        .position(|param| param.name == input)
        .ok_or(format!("there is no input `{input}`"))?;
    compare(gradient, arg, &found[gradient_index], args, &|args| {
        Ok(sum(&exact(args).map_err(|error| error.0)?[output_index]))
    })
}

fn compare(
    name: &str,
    arg: usize,
    gradient: &Array,
    args: &[Array],
    cost: &dyn Fn(&[Array]) -> Result<f64, Failed>,
) -> Result<(), Failed> {
    if gradient.shape() != args[arg].shape() {
        return Err(
            format!("`{name}` has shape {:?}, needed is {:?}", gradient.shape(), args[arg].shape()).into()
        );
    }
    let count = args[arg].values.len();
    let largest = gradient.values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let stride = count.div_ceil(MAX_ELEMENTS).max(1);
    for element in (0..count).step_by(stride) {
        let value = args[arg].values.iter().nth(element).copied().unwrap_or_default();
        let step = 1e-5 * value.abs().max(1.0);
        let at = |value: f64| {
            let mut args = args.to_vec();
            if let Some(slot) = args[arg].values.iter_mut().nth(element) {
                *slot = value;
            }
            cost(&args)
        };
        let difference = (at(value + step)? - at(value - step)?) / (2.0 * step);
        let derivative = gradient.values.iter().nth(element).copied().unwrap_or_default();
        let off = (difference - derivative).abs();
        if off.is_nan() || off > 1e-6 * largest.max(1.0) {
            return Err(format!(
                "`{name}`, element {element}: the derivative is {derivative}, differences give {difference}"
            )
            .into());
        }
    }
    Ok(())
}

fn sum(array: &Array) -> f64 {
    array.values.iter().sum()
}
