//! Which tensor goes to which argument of an entry point: matched by role and name, once, before the first call.

use crate::{Parameters, fit_dtype};
use abi::Role;
use base::{Diagnostic, did_you_mean};
use data::{FieldInfo, RowSource};
use exec::Entry;
use tensor::{DType, Element, Tensor};

/// The scalars that the runtime gives to compiled code.
pub(crate) struct Controls {
    values: [(&'static str, Tensor); 7],
}

/// Sources for all arguments of one entry.
pub(crate) struct Feed {
    sources: Vec<Source>,
    /// Of [`Source::Converted`], as they were when the feed was made.
    converted: Vec<Tensor>,
}

enum Source {
    /// By its place in the batch.
    Field(usize),
    Parameter(usize),
    /// A parameter in the dtype that the entry takes: training keeps f32 of what code of a half reads.
    Converted(usize),
    Control(usize),
    /// A sum of gradients, by its place among those that [`Feed::training`] was told of.
    Gradient(usize),
}

impl Controls {
    pub fn new(seed: u64, total_steps: u64) -> Result<Controls, Diagnostic> {
        let scalar = |value: u64| Tensor::from_vec([], [value.cast_signed()]);
        let values = [
            ("seed", scalar(seed)?),
            ("step", scalar(0)?),
            ("total_steps", scalar(total_steps)?),
            ("epoch", scalar(0)?),
            ("part", scalar(0)?),
            ("share", Tensor::from_vec([], [1f64])?),
            ("lr_scale", Tensor::from_vec([], [1f64])?),
        ];
        Ok(Controls { values })
    }

    /// The number of updates before this one, and of epochs before this one.
    pub fn set(&mut self, step: u64, epoch: u64) {
        self.write("step", step.cast_signed());
        self.write("epoch", epoch.cast_signed());
    }

    /// The number of the batch in its update, and its share of the update's rows.
    pub fn set_part(&mut self, part: u64, share: f64) {
        self.write("part", part.cast_signed());
        self.write("share", share);
    }

    pub fn set_rate_scale(&mut self, scale: f64) {
        self.write("lr_scale", scale);
    }

    fn write<T: Element>(&mut self, name: &str, value: T) {
        let slot = self.values.iter_mut().find(|(known, _)| *known == name);
        if let Some([number]) = slot.and_then(|(_, tensor)| tensor.as_mut_slice::<T>()) {
            *number = value;
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|(known, _)| *known == name)
    }

    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.index(name).map(|index| &self.values[index].1)
    }
}

impl Feed {
    /// For measuring: reads the running averages of weights where the run keeps them. `batch` collects the fields that a
    /// batch has to have, by their numbers in the data; several feeds may share it.
    pub fn new(
        entry: &Entry,
        dataset: &dyn RowSource,
        batch: &mut Vec<usize>,
        parameters: &Parameters,
        controls: &Controls,
    ) -> Result<Feed, Diagnostic> {
        let find = |role, name: &str| parameters.require_measured(role, name);
        let mut feed = Feed::find(entry, dataset, batch, controls, &[], find)?;
        for (position, source) in feed.sources.iter_mut().enumerate() {
            let Source::Parameter(index) = *source else { continue };
            let (tensor, dtype) = (parameters.at(index), entry.arg_dtype(position));
            if tensor.dtype() != dtype {
                let name = &entry.info().args[position].name;
                feed.converted.push(fit_dtype(name, tensor, dtype, true)?);
                *source = Source::Converted(feed.converted.len() - 1);
            }
        }
        Ok(feed)
    }

    /// For an update: reads the weights themselves, and sums of gradients by these names.
    pub fn training(
        entry: &Entry,
        dataset: &dyn RowSource,
        batch: &mut Vec<usize>,
        parameters: &Parameters,
        controls: &Controls,
        gradients: &[String],
    ) -> Result<Feed, Diagnostic> {
        Feed::find(entry, dataset, batch, controls, gradients, |role, name| parameters.require(role, name))
    }

    fn find(
        entry: &Entry,
        dataset: &dyn RowSource,
        batch: &mut Vec<usize>,
        controls: &Controls,
        gradients: &[String],
        parameter: impl Fn(Role, &str) -> Result<usize, Diagnostic>,
    ) -> Result<Feed, Diagnostic> {
        let mut feed = Feed { sources: Vec::new(), converted: Vec::new() };
        let fields = dataset.fields();
        for arg in &entry.info().args {
            let source = match arg.role {
                Role::Input => {
                    let field = fields.iter().position(|field| field.name == arg.name);
                    let field = field.ok_or_else(|| missing_field(&arg.name, &fields))?;
                    let place = batch.iter().position(|known| *known == field);
                    Source::Field(place.unwrap_or_else(|| {
                        batch.push(field);
                        batch.len() - 1
                    }))
                }
                Role::Weight | Role::State | Role::Optimizer => {
                    Source::Parameter(parameter(arg.role, &arg.name)?)
                }
                Role::Control => Source::Control(
                    controls.index(&arg.name).ok_or_else(|| unknown(entry, "argument", &arg.name))?,
                ),
                Role::Gradient => {
                    let index = gradients.iter().position(|name| *name == arg.name);
                    Source::Gradient(index.ok_or_else(|| unknown(entry, "argument", &arg.name))?)
                }
                Role::Output | Role::Loss | Role::Metric => {
                    return Err(unknown(entry, "argument", &arg.name));
                }
            };
            feed.sources.push(source);
        }
        Ok(feed)
    }

    /// The arguments in the entry's order; `batch` has the fields that were collected when feeds were made.
    pub fn args<'t>(
        &'t self,
        batch: &'t [Tensor],
        parameters: &'t Parameters,
        controls: &'t Controls,
    ) -> Vec<&'t Tensor> {
        self.args_with(batch, parameters, controls, &[])
    }

    /// As [`Feed::args`], with the sums of gradients that [`Feed::training`] was told of.
    pub fn args_with<'t>(
        &'t self,
        batch: &'t [Tensor],
        parameters: &'t Parameters,
        controls: &'t Controls,
        gradients: &'t [Tensor],
    ) -> Vec<&'t Tensor> {
        let tensor = |source: &Source| match source {
            Source::Field(index) => &batch[*index],
            Source::Parameter(index) => parameters.at(*index),
            Source::Converted(index) => &self.converted[*index],
            Source::Control(index) => &controls.values[*index].1,
            Source::Gradient(index) => &gradients[*index],
        };
        self.sources.iter().map(tensor).collect()
    }
}

/// The one number of a result that has to be one.
pub(crate) fn scalar(entry: &Entry, name: &str, tensor: &Tensor) -> Result<f64, Diagnostic> {
    match tensor.to_f64_vec()[..] {
        [number] => Ok(number),
        _ => Err(Diagnostic::error(
            "E0812",
            format!(
                "`{name}` of entry `{}` has the shape {} instead of being a single number",
                entry.name(),
                tensor::shape_text(tensor.shape())
            ),
        )),
    }
}

/// The artifact and this runtime disagree about an entry.
pub(crate) fn unknown(entry: &Entry, what: &str, name: &str) -> Diagnostic {
    Diagnostic::error(
        "E0812",
        format!("the {what} `{name}` of entry `{}` has no meaning in training", entry.name()),
    )
}

/// Parts along the first axis, one after the other.
pub(crate) fn concatenate(name: &str, parts: &[Tensor]) -> Result<Tensor, Diagnostic> {
    let Some(first) = parts.first() else {
        return Tensor::zeros(DType::F32, [0]);
    };
    let differs = |part: &Tensor| {
        part.rank() == 0 || part.dtype() != first.dtype() || part.shape()[1..] != first.shape()[1..]
    };
    if parts.iter().any(differs) {
        return Err(Diagnostic::error(
            "E0812",
            format!("`{name}` does not have one row for each row of the batch"),
        ));
    }
    let mut shape = first.shape().to_vec();
    shape[0] = parts.iter().map(Tensor::row_count).sum();
    let mut whole = Tensor::zeros(first.dtype(), shape)?;
    let mut rest = whole.bytes_mut();
    for part in parts {
        let (target, after) = rest.split_at_mut(part.bytes().len());
        target.copy_from_slice(part.bytes());
        rest = after;
    }
    Ok(whole)
}

fn missing_field(name: &str, fields: &[FieldInfo]) -> Diagnostic {
    let names = || fields.iter().map(|field| field.name.as_str());
    let near = did_you_mean(name, names()).map(|near| format!("did you mean `{near}`?"));
    Diagnostic::error("E0811", format!("the data have no field `{name}`"))
        .note(format!("they have: {}", names().collect::<Vec<_>>().join(", ")))
        .maybe_help(near)
}
