//! Gradients held against finite differences of the reference interpreter in f64.
//!
//! A derivative is compared with the central difference at steps that shrink, since a corner of `relu` near the point
//! disturbs only the larger ones. Where all steps disagree, the differences to both sides tell a corner at the point
//! itself, which has no derivative, from a wrong derivative.

use crate::Failure;
use base::{Diagnostic, Span};
use graph::{Array, FuncId, Function, Module, NodeId, Op, Role, interp};
use std::collections::BTreeMap;

/// Steps of the differences, relative to the size of what is moved.
const STEPS: [f64; 4] = [1e-4, 1e-5, 1e-6, 1e-7];
/// How far derivative and difference may lie apart, of the larger of them and of the usual size of the gradient.
const TOLERANCE: f64 = 1e-5;
/// One-sided differences this far apart are those of a corner.
const CORNER: f64 = 1e-3;

#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Elements of one array that are tested, and all of them where it has no more.
    pub samples: usize,
    /// Random directions in which all elements are moved together, where not all are tested.
    pub directions: usize,
    pub seed: u64,
}

/// One place where derivative and difference were compared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Compared {
    /// The element; `None` is a direction.
    pub element: Option<usize>,
    pub gradient: f64,
    pub difference: f64,
    /// Differences to the left and to the right.
    pub sides: [f64; 2],
    pub verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Agrees,
    /// The point is a corner: the differences to both sides differ.
    Corner,
    Disagrees,
}

/// The comparison of one weight or input.
#[derive(Clone, Debug)]
pub struct ArrayCheck {
    pub name: String,
    pub role: Role,
    pub shape: Vec<usize>,
    /// By the interpreter in f64.
    pub gradient: Vec<f64>,
    pub compared: Vec<Compared>,
}

impl ArrayCheck {
    pub fn count(&self, verdict: Verdict) -> usize {
        self.compared.iter().filter(|compared| compared.verdict == verdict).count()
    }

    /// The largest gradient, the unit of differences.
    pub fn scale(&self) -> f64 {
        self.gradient.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
    }

    /// The largest relative difference where there is no corner.
    pub fn largest(&self) -> f64 {
        let smooth = self.compared.iter().filter(|compared| compared.verdict != Verdict::Corner);
        smooth
            .map(|it| (it.gradient - it.difference).abs() / unit(it.gradient, self.scale()))
            .fold(0.0, f64::max)
    }
}

#[derive(Clone, Debug)]
pub struct GradientCheck {
    pub loss: f64,
    pub arrays: Vec<ArrayCheck>,
    /// Where derivatives are stopped on purpose: they differ from the value's there.
    pub stops: Vec<Span>,
}

fn unit(gradient: f64, scale: f64) -> f64 {
    gradient.abs().max(1e-2 * scale).max(f64::MIN_POSITIVE)
}

/// Checks the entry `grad` of a module as the checker made it, at `arrays`, one a parameter.
pub fn check_gradients(
    module: &Module,
    entry: FuncId,
    arrays: &[Array],
    options: &CheckOptions,
) -> Result<GradientCheck, Failure> {
    let mut module = module.clone();
    let mut function = module.functions[entry].clone();
    let stops = stops(&module, entry);
    let loss = function.results.iter().find(|(_, role, _)| *role == Role::Loss).map(|(_, _, id)| *id);
    let Some(loss) = loss else { return Err(Failure::bug("the entry `grad` has no loss", String::new())) };
    function.results.retain(|(_, role, _)| matches!(role, Role::Loss | Role::Gradient));
    // Inputs have no gradients yet. What the loss depends on through integers alone has none at all.
    let inputs: Vec<(String, NodeId)> = function
        .nodes
        .iter()
        .filter_map(|(id, node)| match &node.op {
            Op::Parameter(parameter) if node.ty().dtype.is_float() => {
                let param = &function.params[parameter.index];
                (param.role == Role::Input).then(|| (param.name.clone(), id))
            }
            _ => None,
        })
        .collect();
    let mut derived: Vec<(String, Role, NodeId)> = Vec::new();
    for (name, id) in inputs {
        let mut changed = function.clone();
        if let Ok(grads) = autodiff::grad(&mut module, &mut changed, loss, &[id]) {
            function = changed;
            derived.extend(grads.first().map(|grad| (name, Role::Input, *grad)));
        }
    }
    let mut value_alone = function.clone();
    value_alone.results.retain(|(_, role, _)| *role == Role::Loss);
    function.results.extend(derived);
    let results = evaluate(&module, &function, arrays)?;
    let value = results.first().and_then(|loss| loss.values.first().copied()).unwrap_or(f64::NAN);
    let mut check =
        Check { module: &module, function: &value_alone, arrays: arrays.to_vec(), options, loss: value };
    if !value.is_finite() {
        return Err(Diagnostic::error("E0829", format!("the loss is {value}: there is nothing to compare"))
            .help("`--nan` tells where it comes from")
            .into());
    }
    let mut found = Vec::new();
    for ((name, role, _), gradient) in function.results.iter().zip(&results) {
        let role = match role {
            Role::Gradient => Role::Weight,
            Role::Input => Role::Input,
            _ => continue,
        };
        let Some(param) = function.params.iter().position(|param| param.name == *name && param.role == role)
        else {
            continue;
        };
        let gradient: Vec<f64> = gradient.values.iter().copied().collect();
        let compared = check.array(param, &gradient)?;
        found.push(ArrayCheck {
            name: name.clone(),
            role,
            shape: arrays[param].shape().to_vec(),
            gradient,
            compared,
        });
    }
    Ok(GradientCheck { loss: value, arrays: found, stops })
}

fn evaluate(module: &Module, function: &Function, arrays: &[Array]) -> Result<Vec<Array>, Failure> {
    let ran = interp::run_function(module, function, arrays, &BTreeMap::new(), interp::Options::exact());
    ran.map_err(|fault| {
        Diagnostic::error("E0828", format!("the reference interpreter stopped: {}", fault.0)).into()
    })
}

struct Check<'a> {
    module: &'a Module,
    /// The loss alone: what it does not need is not computed.
    function: &'a Function,
    arrays: Vec<Array>,
    options: &'a CheckOptions,
    loss: f64,
}

impl Check<'_> {
    fn array(&mut self, param: usize, gradient: &[f64]) -> Result<Vec<Compared>, Failure> {
        let scale = gradient.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let n = gradient.len();
        let mut draws =
            Draws { state: self.options.seed ^ (param as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) };
        let mut compared = Vec::new();
        let mut elements: Vec<usize> = (0..n).collect();
        if n > self.options.samples {
            for place in 0..self.options.samples {
                let other = place + draws.below(n - place);
                elements.swap(place, other);
            }
            elements.truncate(self.options.samples);
            elements.sort_unstable();
            for _ in 0..self.options.directions {
                let signs: Vec<f64> = (0..n).map(|_| if draws.below(2) == 0 { -1.0 } else { 1.0 }).collect();
                let along = signs.iter().zip(gradient).map(|(sign, value)| sign * value).sum();
                let sum = gradient.iter().map(|value| value.abs()).sum();
                let all: Vec<(usize, f64)> = signs.into_iter().enumerate().collect();
                compared.push(self.compare(param, &all, None, along, sum)?);
            }
        }
        for element in elements {
            compared.push(self.compare(param, &[(element, 1.0)], Some(element), gradient[element], scale)?);
        }
        Ok(compared)
    }

    /// Moves elements by these amounts at once, which changes the loss at the rate `gradient` if the derivative is right.
    fn compare(
        &mut self,
        param: usize,
        moved: &[(usize, f64)],
        element: Option<usize>,
        gradient: f64,
        scale: f64,
    ) -> Result<Compared, Failure> {
        let size = moved
            .iter()
            .map(|(place, _)| self.arrays[param].values.iter().nth(*place).map_or(0.0, |x| x.abs()));
        let size = size.fold(0.0, f64::max).clamp(1e-2, 1.0);
        let allowed = TOLERANCE * unit(gradient, scale);
        let mut nearest: Option<Compared> = None;
        let mut corner = true;
        for step in STEPS {
            let step = step * size;
            let above = self.loss_at(param, moved, step)?;
            let below = self.loss_at(param, moved, -step)?;
            // Digits that rounding takes from a difference of nearly equal losses.
            let noise = 8.0 * f64::EPSILON * self.loss.abs().max(above.abs()).max(1e-3) / step;
            let difference = (above - below) / (2.0 * step);
            let sides = [(self.loss - below) / step, (above - self.loss) / step];
            let error = (difference - gradient).abs();
            let compared = Compared { element, gradient, difference, sides, verdict: Verdict::Agrees };
            if error <= allowed + noise {
                return Ok(compared);
            }
            // Curvature sets both sides apart too, but less with every step; a corner stays.
            let (low, high) = (sides[0].min(sides[1]), sides[0].max(sides[1]));
            let between = low - allowed - noise <= gradient && gradient <= high + allowed + noise;
            corner &= between && high - low > CORNER * unit(gradient, scale) + 4.0 * noise;
            if nearest.is_none_or(|known| error < (known.difference - gradient).abs()) {
                nearest = Some(compared);
            }
        }
        let verdict = if corner { Verdict::Corner } else { Verdict::Disagrees };
        let nearest = nearest.ok_or_else(|| Failure::bug("a difference is no number", String::new()))?;
        Ok(Compared { verdict, ..nearest })
    }

    fn loss_at(&mut self, param: usize, moved: &[(usize, f64)], step: f64) -> Result<f64, Failure> {
        let before = self.arrays[param].clone();
        if let Some(values) = self.arrays[param].values.as_slice_mut() {
            for (place, by) in moved {
                values[*place] += by * step;
            }
        }
        let results = evaluate(self.module, self.function, &self.arrays);
        self.arrays[param] = before;
        Ok(results?.first().and_then(|loss| loss.values.first().copied()).unwrap_or(f64::NAN))
    }
}

/// Where the functions that the entry calls stop derivatives.
fn stops(module: &Module, entry: FuncId) -> Vec<Span> {
    let mut called = vec![false; module.functions.len()];
    let mut stack = vec![entry];
    let mut spans = Vec::new();
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut called[id.index()], true) {
            continue;
        }
        for node in module.functions[id].nodes.values() {
            stack.extend(node.op.callee());
            if matches!(node.op, Op::StopGradient(_)) {
                spans.extend(node.span.filter(|span| !spans.contains(span)));
            }
        }
    }
    spans.sort_unstable();
    spans
}

/// Repeatable draws; their quality does not matter much.
struct Draws {
    state: u64,
}

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % (n.max(1) as u64)) as usize
    }
}
