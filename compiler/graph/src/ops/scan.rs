//! A loop with a known number of steps.

use super::functions::{named, result_types, runs_functions, same_type};
use super::operands::{at_least, disagreement, equal, representable};
use crate::{Fault, FuncId, Module, Type};
use shape::{Dim, Facts, Shape};

/// A function applied `count` times, from step to step.
///
/// Operands are the carried values, the fixed ones, the stacked ones and the tables, in this order, and so are the
/// parameters of the body. Results of the body are the next carried values, what is stacked, what is kept in tables; those
/// of the node are the last carried values, then `[count, …]` for what is stacked, then `count` values for each table,
/// that of step 0 first. Without a step the carried values pass through.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scan {
    pub body: FuncId,
    pub count: Dim,
    /// Steps count − 1 … 0 instead of 0 … count − 1.
    pub reverse: bool,
    /// Operands that a step takes from the one before: the first parameters of the body; its first results are their
    /// next values.
    pub carried: usize,
    /// The next operands: the same in each step.
    pub fixed: usize,
    /// The next operands, `[count, …]`: a step gets its element of axis 0.
    pub stacked: usize,
    /// The rest: groups of `count` separate operands, table after table; a step gets its own of each. With tables the
    /// count is a number above 0.
    pub tables: usize,
    /// The last results of the body, which are not stacked but kept apart, one a step.
    pub table_results: usize,
    /// Reverse derivatives keep the carried values alone and compute the rest of a step again.
    pub remat: bool,
}

runs_functions!(Scan = "scan");

/// Operands or results of a scan, kind by kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanParts<'a, T> {
    pub carried: &'a [T],
    /// None among the results.
    pub fixed: &'a [T],
    pub stacked: &'a [T],
    /// A slice of `count` a table.
    pub tables: Vec<&'a [T]>,
}

impl Scan {
    /// The count, where it is a number that can count operands.
    pub fn steps(&self) -> Option<usize> {
        self.count.as_const().and_then(|count| usize::try_from(count).ok())
    }

    /// The operands of the node by kind; nothing where their number is not that of the attributes.
    pub fn operands<'a, T>(&self, all: &'a [T]) -> Option<ScanParts<'a, T>> {
        self.parts(all, self.fixed, self.stacked, self.tables)
    }

    /// The results of the node by kind.
    pub fn results<'a, T>(&self, all: &'a [T]) -> Option<ScanParts<'a, T>> {
        let kept = self.table_results.checked_mul(self.steps().unwrap_or(0))?;
        let stacked = all.len().checked_sub(self.carried)?.checked_sub(kept)?;
        self.parts(all, 0, stacked, self.table_results)
    }

    /// The parameter of the body that the operand of this number is given to.
    pub fn param_of(&self, operand: usize) -> usize {
        let single = self.carried + self.fixed + self.stacked;
        match operand.checked_sub(single) {
            Some(place) => single + place / self.steps().unwrap_or(1).max(1),
            None => operand,
        }
    }

    /// The result of the body that gives the result of this number, of a node with `n_results`.
    pub fn body_result_of(&self, result: usize, n_results: usize) -> usize {
        let kept = self.table_results * self.steps().unwrap_or(0);
        let single = n_results.saturating_sub(kept);
        match result.checked_sub(single) {
            Some(place) => single + place / self.steps().unwrap_or(1).max(1),
            None => result,
        }
    }

    /// Types of the parameters of the body, for operands that fit.
    pub fn step_types(&self, inputs: &[&Type]) -> Vec<Type> {
        let Some(parts) = self.operands(inputs) else { return Vec::new() };
        let element = |ty: &&Type| Type::new(ty.dtype, ty.shape.iter().skip(1).cloned().collect());
        let whole = parts.carried.iter().chain(parts.fixed).map(|ty| (*ty).clone());
        let tables = parts.tables.iter().filter_map(|table| table.first()).map(|ty| (*ty).clone());
        whole.chain(parts.stacked.iter().map(element)).chain(tables).collect()
    }

    fn parts<'a, T>(
        &self,
        all: &'a [T],
        fixed: usize,
        stacked: usize,
        tables: usize,
    ) -> Option<ScanParts<'a, T>> {
        let (carried, rest) = all.split_at_checked(self.carried)?;
        let (fixed, rest) = rest.split_at_checked(fixed)?;
        let (stacked, rest) = rest.split_at_checked(stacked)?;
        let steps = self.steps().unwrap_or(0);
        if tables.checked_mul(steps)? != rest.len() {
            return None;
        }
        let tables = (0..tables).map(|table| &rest[table * steps..(table + 1) * steps]).collect();
        Some(ScanParts { carried, fixed, stacked, tables })
    }

    /// Types of the results.
    pub fn infer_scan(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[&Type],
    ) -> Result<Vec<Type>, Box<Fault>> {
        let body = named("scan", module, self.body)?;
        let attribute = |message: String| Err(Fault::attribute(message).into());
        if !at_least(facts, &self.count, &Dim::default()) {
            return attribute(format!("the count {} of `scan` is not known to be at least 0", self.count));
        }
        if self.tables + self.table_results > 0 && self.steps().is_none_or(|steps| steps == 0) {
            return attribute(format!("a `scan` with tables has a number of steps, not {}", self.count));
        }
        let Some(parts) = self.operands(inputs) else {
            return attribute(format!("`scan` of `{}` does not take {} operands", body.name, inputs.len()));
        };
        let mut elements = Vec::with_capacity(parts.stacked.len());
        for (index, ty) in parts.stacked.iter().enumerate() {
            let operand = self.carried + self.fixed + index;
            let Some((leading, shape)) = ty.shape.split_first() else {
                let message = format!("what a `scan` runs over has an axis, this is {ty}");
                return Err(Fault::axes(message).label(operand, "runs over this").into());
            };
            if !equal(facts, leading, &self.count) {
                let why = disagreement(facts, leading, &self.count);
                let message = format!("`scan` runs over axis 0 of {ty}: its size and the number of steps {why}");
                return Err(Fault::shapes(message).label(operand, "runs over this").dims([leading]).into());
            }
            elements.push(Type::new(ty.dtype, shape.iter().cloned().collect()));
        }
        for (index, table) in parts.tables.iter().enumerate() {
            for (step, ty) in table.iter().enumerate().skip(1) {
                let same = ty.dtype == table[0].dtype
                    && ty.rank() == table[0].rank()
                    && ty.shape.iter().zip(table[0].shape.iter()).all(|(a, b)| equal(facts, a, b));
                if !same {
                    return attribute(format!("table {index} of `scan` holds {} and {ty} at {step}", table[0]));
                }
            }
        }
        let of_step: Vec<&Type> = (parts.carried.iter().chain(parts.fixed).copied())
            .chain(&elements)
            .chain(parts.tables.iter().map(|table| table[0]))
            .collect();
        let given = result_types(body, facts, &of_step)?;
        let Some(n_stacked) =
            given.len().checked_sub(self.carried).and_then(|rest| rest.checked_sub(self.table_results))
        else {
            return attribute(format!("`{}` gives too few results for this `scan`", body.name));
        };
        let mut types = Vec::with_capacity(given.len());
        for (index, (wanted, given)) in parts.carried.iter().zip(&given).enumerate() {
            same_type(body, &format!("carried value {index}"), facts, wanted, given)?;
            types.push((*wanted).clone());
        }
        for ty in &given[self.carried..][..n_stacked] {
            let shape: Shape = std::iter::once(&self.count).chain(ty.shape.iter()).cloned().collect();
            representable("scan", &shape)?;
            types.push(Type::new(ty.dtype, shape));
        }
        for ty in &given[self.carried + n_stacked..] {
            types.extend(std::iter::repeat_n(ty.clone(), self.steps().unwrap_or(0)));
        }
        Ok(types)
    }
}
