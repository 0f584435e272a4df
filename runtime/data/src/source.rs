//! Where rows come from: arrays in memory, or files that are read as training asks for them.

use crate::Dataset;
use base::Diagnostic;
use indexmap::IndexMap;
use tensor::{DType, Tensor};

/// A field as every row has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldInfo {
    pub name: String,
    pub dtype: DType,
    pub row_shape: Vec<usize>,
}

/// Named fields with the same number of rows, gathered by number. The same rows give the same bits at any time.
pub trait RowSource: Sync {
    fn rows(&self) -> usize;

    /// In the order of their declaration.
    fn fields(&self) -> Vec<FieldInfo>;

    /// For each field that held words: the words in the order of their ids.
    fn tables(&self) -> &IndexMap<String, Vec<String>>;

    /// What a checkpoint remembers of its data.
    fn content_hash(&self) -> u64;

    /// Whether rows lie in memory. Those of other sources are worth a thread that reads ahead.
    fn is_held(&self) -> bool;

    /// Rows of the wanted fields, which are numbers of [`RowSource::fields`], in this order. The memory of what `batch`
    /// held before is used again where it fits. With an epoch the rows are for training, where they may be augmented.
    ///
    /// # Panics
    /// Where a number is no row or no field: both are the caller's arithmetic.
    fn gather(
        &self,
        wanted: &[usize],
        rows: &[usize],
        epoch: Option<u64>,
        batch: &mut Vec<Tensor>,
    ) -> Result<(), Diagnostic>;
}

/// A source with further fields, which hide those of the same name: arrays in memory, and fields of one value.
pub struct Overlay {
    base: Box<dyn RowSource>,
    over: IndexMap<String, Over>,
    fields: Vec<FieldInfo>,
    tables: IndexMap<String, Vec<String>>,
}

enum Over {
    Array(Tensor),
    /// One row, which is that of every number.
    Constant(Tensor),
    /// A value without rows, given to every batch as it is.
    Whole(Tensor),
}

impl RowSource for Dataset {
    fn rows(&self) -> usize {
        self.rows
    }

    fn fields(&self) -> Vec<FieldInfo> {
        let field = |(name, tensor): (&String, &Tensor)| FieldInfo {
            name: name.clone(),
            dtype: tensor.dtype(),
            row_shape: tensor.shape()[1..].to_vec(),
        };
        self.fields.iter().map(field).collect()
    }

    fn tables(&self) -> &IndexMap<String, Vec<String>> {
        &self.tables
    }

    fn content_hash(&self) -> u64 {
        Dataset::content_hash(self)
    }

    fn is_held(&self) -> bool {
        true
    }

    fn gather(
        &self,
        wanted: &[usize],
        rows: &[usize],
        _: Option<u64>,
        batch: &mut Vec<Tensor>,
    ) -> Result<(), Diagnostic> {
        let mut old = std::mem::take(batch).into_iter();
        for field in wanted {
            let from = &self.fields[*field];
            let mut target = reused(old.next(), from.dtype(), rows.len(), &from.shape()[1..])?;
            from.gather_rows_into(rows, &mut target);
            batch.push(target);
        }
        Ok(())
    }
}

impl Overlay {
    pub fn new(base: Box<dyn RowSource>) -> Overlay {
        Overlay { fields: base.fields(), tables: base.tables().clone(), base, over: IndexMap::new() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Adds a field with a row for each row of the source; `origin` is what messages call where it comes from.
    pub fn add(&mut self, name: &str, array: Tensor, origin: &str) -> Result<(), Diagnostic> {
        if array.rank() == 0 || array.row_count() != self.base.rows() {
            return Err(Diagnostic::error(
                "E0632",
                format!(
                    "the field `{name}` of {origin} has {} rows, where the other data have {}",
                    array.row_count(),
                    self.base.rows()
                ),
            ));
        }
        self.declare(name, array.dtype(), &array.shape()[1..]);
        self.over.insert(name.to_string(), Over::Array(array));
        Ok(())
    }

    /// Adds a field that has this value in every row.
    pub fn add_constant(&mut self, name: &str, row: Tensor) {
        self.declare(name, row.dtype(), row.shape());
        self.over.insert(name.to_string(), Over::Constant(row));
    }

    /// Adds a value that every batch has once, not once a row: an input without a batch axis.
    pub fn add_whole(&mut self, name: &str, value: Tensor) {
        self.declare(name, value.dtype(), value.shape());
        self.over.insert(name.to_string(), Over::Whole(value));
    }

    /// The base itself, where nothing was added.
    pub fn into_source(self) -> Box<dyn RowSource> {
        if self.over.is_empty() { self.base } else { Box::new(self) }
    }

    fn declare(&mut self, name: &str, dtype: DType, row_shape: &[usize]) {
        let info = FieldInfo { name: name.to_string(), dtype, row_shape: row_shape.to_vec() };
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => *field = info,
            None => self.fields.push(info),
        }
        self.tables.shift_remove(name);
    }
}

impl RowSource for Overlay {
    fn rows(&self) -> usize {
        self.base.rows()
    }

    fn fields(&self) -> Vec<FieldInfo> {
        self.fields.clone()
    }

    fn tables(&self) -> &IndexMap<String, Vec<String>> {
        &self.tables
    }

    fn content_hash(&self) -> u64 {
        let start = tensor::Fnv64::new().number(self.base.content_hash());
        let hash = self.over.iter().fold(start, |hash, (name, over)| {
            let array = match over {
                Over::Array(array) | Over::Constant(array) | Over::Whole(array) => array,
            };
            hash.text(name).number(crate::dataset::array_hash(array))
        });
        hash.finish()
    }

    fn is_held(&self) -> bool {
        self.base.is_held()
    }

    fn gather(
        &self,
        wanted: &[usize],
        rows: &[usize],
        epoch: Option<u64>,
        batch: &mut Vec<Tensor>,
    ) -> Result<(), Diagnostic> {
        let over: Vec<Option<&Over>> =
            wanted.iter().map(|field| self.over.get(&self.fields[*field].name)).collect();
        let mut old: Vec<Option<Tensor>> = batch.drain(..).map(Some).collect();
        old.resize_with(wanted.len(), || None);
        // Fields of the base keep their numbers here.
        let of_base: Vec<usize> =
            wanted.iter().zip(&over).filter(|(_, over)| over.is_none()).map(|(field, _)| *field).collect();
        let mut given: Vec<Tensor> = old
            .iter_mut()
            .zip(&over)
            .filter(|(_, over)| over.is_none())
            .filter_map(|(old, _)| old.take())
            .collect();
        self.base.gather(&of_base, rows, epoch, &mut given)?;
        let mut given = given.into_iter();
        for ((field, over), old) in wanted.iter().zip(over).zip(old) {
            let Some(over) = over else {
                batch.extend(given.next());
                continue;
            };
            let info = &self.fields[*field];
            let target = |old| reused(old, info.dtype, rows.len(), &info.row_shape);
            batch.push(match over {
                Over::Whole(value) => old.filter(|old| old == value).unwrap_or_else(|| value.clone()),
                Over::Array(array) => {
                    let mut target = target(old)?;
                    array.gather_rows_into(rows, &mut target);
                    target
                }
                Over::Constant(row) => {
                    let mut target = target(old)?;
                    if !row.is_empty() {
                        let rows = target.bytes_mut().chunks_exact_mut(row.bytes().len());
                        rows.for_each(|target| target.copy_from_slice(row.bytes()));
                    }
                    target
                }
            });
        }
        Ok(())
    }
}

/// An array for so many rows: the old one, where it has that form. What it holds is left over from before.
pub(crate) fn reused(
    old: Option<Tensor>,
    dtype: DType,
    rows: usize,
    row_shape: &[usize],
) -> Result<Tensor, Diagnostic> {
    let fits = |old: &Tensor| {
        old.dtype() == dtype
            && old.rank() == row_shape.len() + 1
            && old.shape()[0] == rows
            && old.shape()[1..] == *row_shape
    };
    match old.filter(fits) {
        Some(old) => Ok(old),
        None => {
            Tensor::zeros(dtype, std::iter::once(rows).chain(row_shape.iter().copied()).collect::<Vec<_>>())
        }
    }
}
