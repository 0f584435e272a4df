//! What every part of training works with.

use crate::Spec;
use base::Diagnostic;
use data::{RowSource, Rows, Split};
use exec::{Pool, Program};

#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub program: &'a Program,
    pub pool: &'a Pool,
    pub dataset: &'a dyn RowSource,
    pub spec: &'a Spec,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SplitName {
    Train,
    Validation,
    Test,
}

impl SplitName {
    /// As logs and the language write it.
    pub const fn name(self) -> &'static str {
        match self {
            SplitName::Train => "train",
            SplitName::Validation => "val",
            SplitName::Test => "test",
        }
    }

    pub fn parse(name: &str) -> Option<SplitName> {
        match name {
            "train" => Some(SplitName::Train),
            "val" | "validation" => Some(SplitName::Validation),
            "test" => Some(SplitName::Test),
            _ => None,
        }
    }
}

impl Context<'_> {
    /// The rows of a split in its own order; that it has none is an error.
    pub fn rows(&self, split: SplitName) -> Result<Rows, Diagnostic> {
        let parts = self.split()?;
        let rows = match split {
            SplitName::Train => parts.train,
            SplitName::Validation => parts.validation,
            SplitName::Test => parts.test,
        };
        if rows.is_empty() {
            let message =
                format!("the `{}` split has no rows: the data are split {:?}", split.name(), self.spec.split);
            return Err(Diagnostic::error("E0633", message)
                .help("give it a part, for example `split = [0.8, 0.1, 0.1]`"));
        }
        Ok(rows)
    }

    pub(crate) fn split(&self) -> Result<Split, Diagnostic> {
        Split::new(self.dataset.rows(), &self.spec.split, self.spec.seed)
    }

    /// Rows of a full update, at least one.
    pub(crate) fn update(&self) -> Result<usize, Diagnostic> {
        Ok(self.batch()?.saturating_mul(self.spec.accumulate.max(1)))
    }

    /// Rows of a full batch, at least one.
    pub(crate) fn batch(&self) -> Result<usize, Diagnostic> {
        match self.spec.batch {
            0 => Err(Diagnostic::error("E0813", "a batch of 0 rows trains nothing")),
            batch => Ok(batch),
        }
    }
}
