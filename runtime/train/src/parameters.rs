//! What training changes: weights, states, and what the optimiser remembers.

use abi::Role;
use base::{Diagnostic, did_you_mean};
use exec::Entry;
use std::collections::BTreeMap;
use tensor::{DType, Tensor, safetensors::Weights};

/// The optimiser's tensors stand in files under this prefix, so that weights keep the names that the language gives.
const OPTIMIZER_PREFIX: &str = "optimizer/";

/// Optimiser states of this prefix are running averages of weights.
const AVERAGE_PREFIX: &str = "ema/";

/// Tensors by their name in files, in the order of these names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    names: Vec<String>,
    tensors: Vec<Tensor>,
}

impl Parameters {
    /// Everything in a weights file or checkpoint; entries take from it what they need.
    pub fn from_weights(weights: Weights) -> Parameters {
        Parameters::from_map(weights.tensors)
    }

    /// The results of entry `init`.
    pub(crate) fn from_results(entry: &Entry, results: Vec<Tensor>) -> Result<Parameters, Diagnostic> {
        let mut map = BTreeMap::new();
        for (info, tensor) in entry.info().results.iter().zip(results) {
            let Some(name) = stored_name(info.role, &info.name) else { continue };
            if map.insert(name, tensor).is_some() {
                return Err(Diagnostic::error(
                    "E0812",
                    format!("entry `{}` gives `{}` twice", entry.name(), info.name),
                ));
            }
        }
        Ok(Parameters::from_map(map))
    }

    fn from_map(map: BTreeMap<String, Tensor>) -> Parameters {
        let (names, tensors) = map.into_iter().unzip();
        Parameters { names, tensors }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.tensors)
    }

    pub fn get(&self, role: Role, name: &str) -> Option<&Tensor> {
        self.index(role, name).map(|index| &self.tensors[index])
    }

    /// The same in the dtypes in which an entry takes them; see [`fit_dtype`].
    pub fn fitted(&self, entry: &Entry, rounds: bool) -> Result<Parameters, Diagnostic> {
        let mut fitted = self.clone();
        for (position, arg) in entry.info().args.iter().enumerate() {
            let average = (arg.role == Role::Weight).then(|| self.average_of(&arg.name)).flatten();
            for index in self.index(arg.role, &arg.name).into_iter().chain(average) {
                let dtype = entry.arg_dtype(position);
                fitted.tensors[index] = fit_dtype(&self.names[index], &self.tensors[index], dtype, rounds)?;
            }
        }
        Ok(fitted)
    }

    pub(crate) fn index(&self, role: Role, name: &str) -> Option<usize> {
        self.names.binary_search(&stored_name(role, name)?).ok()
    }

    pub(crate) fn at(&self, index: usize) -> &Tensor {
        &self.tensors[index]
    }

    pub(crate) fn at_mut(&mut self, index: usize) -> &mut Tensor {
        &mut self.tensors[index]
    }

    /// What a measurement reads for an argument: a weight's running average where the run keeps one.
    pub(crate) fn require_measured(&self, role: Role, name: &str) -> Result<usize, Diagnostic> {
        let average = (role == Role::Weight).then(|| self.average_of(name)).flatten();
        average.map_or_else(|| self.require(role, name), Ok)
    }

    fn average_of(&self, weight: &str) -> Option<usize> {
        self.index(Role::Optimizer, &format!("{AVERAGE_PREFIX}{weight}"))
    }

    /// The same with every weight replaced by its running average, where there is one: what predicts best.
    pub fn averaged(&self) -> Parameters {
        let mut result = self.clone();
        for (index, name) in self.names.iter().enumerate() {
            if let Some(average) = self.average_of(name) {
                result.tensors[index] = self.tensors[average].clone();
            }
        }
        result
    }

    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.names.into_iter().zip(self.tensors).collect()
    }

    /// Lets every running average begin at its weight.
    pub(crate) fn restart_averages(&mut self) {
        for index in 0..self.names.len() {
            if let Some(average) = self.average_of(&self.names[index]) {
                self.tensors[average] = self.tensors[index].clone();
            }
        }
    }

    /// As [`Parameters::index`]; the lack of it is the file's fault.
    pub(crate) fn require(&self, role: Role, name: &str) -> Result<usize, Diagnostic> {
        self.index(role, name).ok_or_else(|| {
            let near = did_you_mean(name, self.names.iter().map(String::as_str));
            Diagnostic::error("E0705", format!("the weights lack `{name}`, which the model has"))
                .maybe_help(near.map(|near| format!("they have `{near}`")))
        })
    }

    /// Takes the values of `other`, which has to have the same names, dtypes and shapes.
    pub(crate) fn replace(&mut self, other: Parameters, file: &str) -> Result<(), Diagnostic> {
        let differs = |what: String| {
            Diagnostic::error("E0705", format!("`{file}` does not belong to this model: {what}"))
        };
        if let Some(name) = self.names.iter().find(|name| other.names.binary_search(name).is_err()) {
            return Err(differs(format!("it lacks `{name}`")));
        }
        if let Some(name) = other.names.iter().find(|name| self.names.binary_search(name).is_err()) {
            return Err(differs(format!("the model has no `{name}`")));
        }
        for ((name, mine), theirs) in self.names.iter().zip(&self.tensors).zip(&other.tensors) {
            if mine.dtype() != theirs.dtype() || mine.shape() != theirs.shape() {
                return Err(differs(format!(
                    "`{name}` is {} in it and {} in the model",
                    typed(theirs),
                    typed(mine)
                )));
            }
        }
        self.tensors = other.tensors;
        Ok(())
    }

    /// Takes from `other` every weight and state that it has. A name that this model lacks, or another shape, is an error.
    pub(crate) fn adopt(&mut self, other: &Parameters) -> Result<(), Diagnostic> {
        let given = other.iter().filter(|(name, _)| !name.starts_with(OPTIMIZER_PREFIX));
        for (name, theirs) in given {
            let index = self.index(Role::Weight, name).ok_or_else(|| {
                let near = did_you_mean(name, self.names.iter().map(String::as_str));
                Diagnostic::error(
                    "E0705",
                    format!("the weights hold `{name}`, which the model does not have"),
                )
                .maybe_help(near.map(|near| format!("it has `{near}`")))
            })?;
            let mine = &self.tensors[index];
            if mine.dtype() != theirs.dtype() || mine.shape() != theirs.shape() {
                return Err(Diagnostic::error(
                    "E0705",
                    format!("`{name}` is {} in the weights and {} in the model", typed(theirs), typed(mine)),
                ));
            }
            self.tensors[index] = theirs.clone();
        }
        Ok(())
    }

    pub(crate) fn to_map(&self) -> BTreeMap<String, Tensor> {
        self.names.iter().cloned().zip(self.tensors.iter().cloned()).collect()
    }
}

/// A weight of a file in the dtype of a build. Between floating dtypes it is converted where no value changes, or where
/// somebody asked for the build's dtype, who therefore wants rounding.
pub fn fit_dtype(name: &str, tensor: &Tensor, wanted: DType, rounds: bool) -> Result<Tensor, Diagnostic> {
    let given = tensor.dtype();
    if given == wanted {
        return Ok(tensor.clone());
    }
    let fault = |what: &str| {
        Diagnostic::error(
            "E0804",
            format!("`{name}` is {given} in the weights and {wanted} in this build{what}"),
        )
    };
    if !given.is_float() || !wanted.is_float() {
        return Err(fault(""));
    }
    let converted = tensor.cast(wanted)?;
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    if rounds || tensor.to_f64_vec().into_iter().zip(converted.to_f64_vec()).all(|(a, b)| same(a, b)) {
        return Ok(converted);
    }
    let help = format!(
        "`--precision {wanted}` asks for rounding, `--precision {given}` for a build that needs none"
    );
    Err(fault(&format!(", where not every value is a {wanted}")).help(help))
}

fn typed(tensor: &Tensor) -> String {
    format!("{}{}", tensor.dtype(), tensor::shape_text(tensor.shape()))
}

fn stored_name(role: Role, name: &str) -> Option<String> {
    match role {
        Role::Weight | Role::State => Some(name.to_string()),
        Role::Optimizer => Some(format!("{OPTIMIZER_PREFIX}{name}")),
        _ => None,
    }
}
