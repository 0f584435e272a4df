//! Weights files under other names: what a `weights … from` map makes of their tensors, and a table of it.

use crate::fault::Fault;
use base::{Diagnostic, Span};
use driver::Session;
use sema::{Built, Foreign, WeightInfo, WeightMap};
use std::collections::{BTreeMap, BTreeSet};
use tensor::{Tensor, shape_text};

/// What a file gives a model.
pub struct Mapped<'a> {
    /// In the order of the model.
    pub rows: Vec<MappedRow<'a>>,
    /// Tensors of the file that nothing took, by name.
    pub unused: Vec<(String, String)>,
    /// Where the names come from, as the map says it; `None` where the file has the model's own.
    pub from: Option<&'a str>,
}

/// A weight or state and where it comes from.
pub struct MappedRow<'a> {
    pub info: &'a WeightInfo,
    /// `None` for a state that begins as it does without a file.
    pub source: Option<String>,
    pub tensor: Option<Tensor>,
}

/// Whether a model's maps have to be asked: the file lacks some of the model's own names.
pub fn is_foreign(built: &Built, has: impl Fn(&str) -> bool) -> bool {
    !built.maps.is_empty() && built.weights.iter().any(|weight| !has(&weight.name))
}

/// The model's weights out of a file with its own names, or with those that one of its maps knows.
pub fn arrange<'a>(
    session: &Session,
    built: &'a Built,
    file: &str,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Mapped<'a>, Fault> {
    if !is_foreign(built, |name| tensors.contains_key(name)) {
        return Ok(own_names(built, tensors));
    }
    // Of several maps, the one that finds most of its names in the file.
    let known = |map: &WeightMap| {
        let found = built.weights.iter().filter_map(|weight| map.find(&weight.name));
        found.filter(|(_, source)| source.names().iter().all(|name| tensors.contains_key(*name))).count()
    };
    let best = built.maps.iter().rev().max_by_key(|map| known(map));
    let Some(map) = best else { return Ok(own_names(built, tensors)) };
    let mut faults = Vec::new();
    let mut missing: Vec<(String, Span, &str)> = Vec::new();
    let mut used = BTreeSet::new();
    let mut rows = Vec::new();
    for (info, kind) in parameters_of(built) {
        let Some((row, source)) = map.find(&info.name) else {
            // The checker asks for a row a weight.
            rows.push(MappedRow { info, source: None, tensor: None });
            continue;
        };
        let lacking = source.names().into_iter().find(|name| !tensors.contains_key(*name));
        if let Some(lacking) = lacking {
            if kind == Kind::TrainingWeight {
                continue;
            }
            if !missing.iter().any(|(name, ..)| name == lacking) {
                missing.push((lacking.to_string(), row.span, info.name.as_str()));
            }
            continue;
        }
        used.extend(source.names().into_iter().map(String::from));
        match make(&source, tensors).and_then(|tensor| {
            fits(info, &source, &tensor)?;
            Ok(tensor)
        }) {
            Ok(tensor) => {
                rows.push(MappedRow { info, source: Some(source.to_string()), tensor: Some(tensor) });
            }
            Err(fault) => {
                let shapes = source.names().into_iter().filter_map(|name| {
                    let tensor = tensors.get(name)?;
                    Some(format!("`{name}` is {}{}", tensor.dtype(), shape_text(tensor.shape())))
                });
                let shapes: Vec<String> = shapes.collect();
                faults.push(
                    Diagnostic::error("E0710", fault.message)
                        .label(row.span, "by this row")
                        .note(format!("in the file, {}", shapes.join(", ")))
                        .maybe_help(fault.help),
                );
            }
        }
    }
    if !missing.is_empty() {
        faults.insert(0, lacks(file, &missing, tensors));
    }
    if !faults.is_empty() {
        faults.truncate(MAX_FAULTS);
        return Err(Fault::Diagnostics(faults, session.sources.clone()));
    }
    let unused = tensors.iter().filter(|(name, _)| !used.contains(*name)).map(described).collect();
    Ok(Mapped { rows, unused, from: Some(&map.from) })
}

/// Tensors that the file lacks: the first with its row, the others by name.
fn lacks(file: &str, missing: &[(String, Span, &str)], tensors: &BTreeMap<String, Tensor>) -> Diagnostic {
    let (first, row, weight) = &missing[0];
    let message = match missing.len() {
        1 => format!("`{file}` lacks `{first}`, which `{weight}` is made of"),
        count => format!("`{file}` lacks `{first}` and {} other tensors of the map", count - 1),
    };
    let near = base::did_you_mean(first, tensors.keys().map(String::as_str));
    let mut diagnostic = Diagnostic::error("E0705", message)
        .label(*row, format!("this row matches `{weight}`"))
        .maybe_help(near.map(|near| format!("the file has `{near}`")));
    if missing.len() > 1 {
        let names: Vec<&str> = missing.iter().map(|(name, ..)| name.as_str()).collect();
        diagnostic = diagnostic.note(format!("not in the file: {}", list(&names)));
    }
    let given: Vec<&str> = tensors.keys().map(String::as_str).collect();
    diagnostic.note(format!("in the file: {}", list(&given)))
}

/// Faults of one file that are told at once.
const MAX_FAULTS: usize = 8;

impl Mapped<'_> {
    /// By the model's names.
    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.rows.into_iter().filter_map(|row| Some((row.info.name.clone(), row.tensor?))).collect()
    }

    /// Names that the file gives nothing for.
    pub fn without_source(&self) -> Vec<&str> {
        self.rows.iter().filter(|row| row.source.is_none()).map(|row| row.info.name.as_str()).collect()
    }

    /// What a user should know before trusting the result: tensors that were left out, states that begin anew.
    pub fn report(&self, file: &str) -> Option<String> {
        let from = self.from?;
        let mut text = format!("{file}: {} tensors under names of {from}", self.rows.len());
        let initial = self.without_source();
        if !initial.is_empty() {
            text += &format!("\n  without a row, so as without a file: {}", list(&initial));
        }
        let unused: Vec<&str> = self.unused.iter().map(|(name, _)| name.as_str()).collect();
        if !unused.is_empty() {
            text += &format!("\n  not used: {}", list(&unused));
        }
        Some(text)
    }
}

/// The first names of many.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Weight,
    State,
    /// Only training needs it, so a file may be without.
    TrainingWeight,
}

fn parameters_of(built: &Built) -> impl Iterator<Item = (&WeightInfo, Kind)> {
    let weights = built.weights.iter().map(|info| (info, Kind::Weight));
    let states = built.states.iter().map(|info| (info, Kind::State));
    weights.chain(states).chain(built.training_weights.iter().map(|info| (info, Kind::TrainingWeight)))
}

fn own_names<'a>(built: &'a Built, tensors: &BTreeMap<String, Tensor>) -> Mapped<'a> {
    let rows: Vec<MappedRow<'a>> = parameters_of(built)
        .map(|(info, _)| {
            let tensor = tensors.get(&info.name).cloned();
            MappedRow { info, source: tensor.as_ref().map(|_| info.name.clone()), tensor }
        })
        .collect();
    let known: BTreeSet<&str> = rows.iter().map(|row| row.info.name.as_str()).collect();
    let unused = tensors.iter().filter(|(name, _)| !known.contains(name.as_str())).map(described).collect();
    Mapped { rows, unused, from: None }
}

fn described((name, tensor): (&String, &Tensor)) -> (String, String) {
    (name.clone(), format!("{}{}", tensor.dtype(), shape_text(tensor.shape())))
}

/// Why a tensor cannot be made.
struct Unfit {
    message: String,
    help: Option<String>,
}

fn unfit<T>(message: String) -> Result<T, Unfit> {
    Err(Unfit { message, help: None })
}

fn make(source: &Foreign, tensors: &BTreeMap<String, Tensor>) -> Result<Tensor, Unfit> {
    let all = |parts: &[Foreign]| -> Result<Vec<Tensor>, Unfit> {
        parts.iter().map(|part| make(part, tensors)).collect()
    };
    let shapes = |parts: &[Tensor]| {
        parts.iter().map(|part| format!("{}{}", part.dtype(), shape_text(part.shape()))).collect::<Vec<_>>()
    };
    match source {
        Foreign::Name(name) => match tensors.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => unfit(format!("the file lacks `{name}`")),
        },
        Foreign::Transposed { of, axes } => {
            let tensor = make(of, tensors)?;
            let wanted = axes.clone().unwrap_or(vec![1, 0]);
            match tensor.permuted(&wanted) {
                Some(tensor) => Ok(tensor),
                None => {
                    let what = match axes {
                        None => "`transposed` exchanges the two axes of a matrix".to_string(),
                        Some(axes) => format!("`transposed` with {axes:?} takes {} axes", axes.len()),
                    };
                    unfit(format!("{what}, but `{of}` is {}", shape_text(tensor.shape())))
                }
            }
        }
        Foreign::Sum(parts) => {
            let parts = all(parts)?;
            Tensor::summed(&parts).map_or_else(
                || {
                    let shapes = shapes(&parts).join(" and ");
                    unfit(format!("`sum` adds floating tensors of one type, but these are {shapes}"))
                },
                Ok,
            )
        }
        Foreign::Concat { parts, axis } => {
            let parts = all(parts)?;
            Tensor::concatenated(&parts, *axis).map_or_else(
                || {
                    let shapes = shapes(&parts).join(" and ");
                    unfit(format!(
                        "`concat` along axis {axis} takes tensors alike but there, and these are {shapes}"
                    ))
                },
                Ok,
            )
        }
        Foreign::Split { of, parts, index, axis } => {
            let tensor = make(of, tensors)?;
            let size = tensor.shape().get(*axis).copied();
            match size {
                Some(size) if size.is_multiple_of(*parts) => {
                    let part = size / parts;
                    let found = tensor.narrowed(*axis, index * part..(index + 1) * part);
                    found.map_or_else(|| unfit(format!("`{of}` cannot be cut")), Ok)
                }
                _ => unfit(format!(
                    "`split` makes {parts} equal parts of axis {axis}, but `{of}` is {}",
                    shape_text(tensor.shape())
                )),
            }
        }
        Foreign::Slice { of, from, to, axis } => {
            let tensor = make(of, tensors)?;
            let shape = shape_text(tensor.shape());
            tensor.narrowed(*axis, *from..*to).map_or_else(
                || unfit(format!("`slice` takes {from}..{to} of axis {axis}, but `{of}` is {shape}")),
                Ok,
            )
        }
    }
}

/// Whether the tensor has the weight's shape, as far as that is known before the inputs are.
fn fits(info: &WeightInfo, source: &Foreign, tensor: &Tensor) -> Result<(), Unfit> {
    let matches = |shape: &[usize]| {
        shape.len() == info.ty.rank()
            && info.ty.shape.iter().zip(shape).all(|(dim, size)| {
                dim.as_const().is_none_or(|dim| i64::try_from(*size).is_ok_and(|size| size == dim))
            })
    };
    if matches(tensor.shape()) {
        return Ok(());
    }
    let message = format!("`{}` is {}, but `{source}` is {}", info.name, info.ty, shape_text(tensor.shape()));
    let turned: Vec<usize> = tensor.shape().iter().rev().copied().collect();
    let help = match source {
        Foreign::Transposed { of, axes: None } if matches(&turned) => {
            Some(format!("without `transposed`, `{of}` has this shape"))
        }
        _ if tensor.rank() == 2 && matches(&turned) => Some("`transposed(…)` gives it this shape".into()),
        _ => None,
    };
    Err(Unfit { message, help })
}
