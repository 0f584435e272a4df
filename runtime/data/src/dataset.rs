//! Named arrays with the same number of rows.

use base::Diagnostic;
use indexmap::IndexMap;
use tensor::{DType, Fnv64, Tensor};

#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// In the order of their declaration; the first axis of each counts the rows.
    pub fields: IndexMap<String, Tensor>,
    pub rows: usize,
    /// For each field that held words: the words in sorted order. A value of the field is a word's place here.
    pub tables: IndexMap<String, Vec<String>>,
}

impl Dataset {
    /// `source` is what messages call the origin.
    pub fn new(source: &str, fields: IndexMap<String, Tensor>) -> Result<Dataset, Diagnostic> {
        let Some((first_name, first)) = fields.first() else {
            return Err(Diagnostic::error("E0631", format!("{source} is asked for no field")));
        };
        let rows = first.row_count();
        for (name, tensor) in &fields {
            if tensor.rank() == 0 {
                let message = format!("`{name}` of {source} is a single number, without rows");
                return Err(Diagnostic::error("E0632", message));
            }
            if tensor.row_count() != rows {
                let message = format!(
                    "the fields of {source} differ in length: `{first_name}` has {rows} rows, `{name}` has {}",
                    tensor.row_count()
                );
                return Err(Diagnostic::error("E0632", message));
            }
        }
        if rows == 0 {
            return Err(Diagnostic::error("E0620", format!("{source} has no rows")));
        }
        Ok(Dataset { fields, rows, tables: IndexMap::new() })
    }

    pub fn field(&self, name: &str) -> Option<&Tensor> {
        self.fields.get(name)
    }

    /// FNV-1a-64 over the fields: what a checkpoint remembers of its data. Fields of words count by their words, so that
    /// a reader who meets them one after the other finds the same.
    pub fn content_hash(&self) -> u64 {
        let mut content = ContentHash::new();
        for (name, tensor) in &self.fields {
            let elements = match self.tables.get(name) {
                None => array_hash(tensor),
                Some(table) => {
                    let ids = tensor.to_i64_vec();
                    let word = |id: i64| usize::try_from(id).ok().and_then(|id| table.get(id));
                    ids.iter()
                        .filter_map(|id| word(*id))
                        .fold(Fnv64::new(), |hash, word| hash.text(word))
                        .finish()
                }
            };
            content.field(name, tensor.dtype(), self.rows, &tensor.shape()[1..], elements);
        }
        self.tables.iter().for_each(|(name, table)| content.table(name, table));
        content.finish()
    }
}

/// The hash of a data set from those of its fields' elements.
pub(crate) struct ContentHash(Fnv64);

impl ContentHash {
    pub fn new() -> ContentHash {
        ContentHash(Fnv64::new())
    }

    pub fn field(&mut self, name: &str, dtype: DType, rows: usize, row_shape: &[usize], elements: u64) {
        let hash = self.0.text(name).text(dtype.name()).number(rows as u64).number(row_shape.len() as u64);
        self.0 = row_shape.iter().fold(hash, |hash, dim| hash.number(*dim as u64)).number(elements);
    }

    /// After all fields.
    pub fn table(&mut self, name: &str, table: &[String]) {
        let hash = self.0.text(name).number(table.len() as u64);
        self.0 = table.iter().fold(hash, |hash, word| hash.text(word));
    }

    pub fn finish(self) -> u64 {
        self.0.finish()
    }
}

/// Over the elements, whatever the machine's byte order.
pub(crate) fn array_hash(tensor: &Tensor) -> u64 {
    hash_elements(Fnv64::new(), tensor).finish()
}

/// Goes on with the elements of a further array.
pub(crate) fn hash_elements(hash: Fnv64, tensor: &Tensor) -> Fnv64 {
    if cfg!(target_endian = "big") {
        hash.bytes(&tensor.to_little_endian())
    } else {
        hash.bytes(tensor.bytes())
    }
}

/// Gives every row the wanted shape, row-major; `None` keeps what is there.
pub(crate) fn shape_rows(
    source: &str,
    field: &str,
    tensor: Tensor,
    row_shape: Option<&[usize]>,
) -> Result<Tensor, Diagnostic> {
    let Some(wanted) = row_shape else { return Ok(tensor) };
    if tensor.rank() == 0 {
        return Ok(tensor); // refused by `Dataset::new`, which knows what to say
    }
    let found = &tensor.shape()[1..];
    if tensor::element_count(found) != tensor::element_count(wanted) {
        return Err(Diagnostic::error(
            "E0610",
            format!(
                "a row of the field `{field}` of {source} has the shape {}, which cannot become {}",
                tensor::shape_text(found),
                tensor::shape_text(wanted)
            ),
        )
        .help("equal numbers of elements are reshaped row by row; here they differ"));
    }
    let shape: Vec<usize> = std::iter::once(tensor.row_count()).chain(wanted.iter().copied()).collect();
    tensor.reshape(shape)
}
