//! From the `train` item to its data.

use crate::{cx::Cx, fault::Fault, parameters::folder_of};
use base::Diagnostic;
use data::{
    ArrayField, Augment, Augmented, Columns, Csv, CsvField, Distribution, ImageField, ImageOrigin, Images,
    Overlay, RowSource, SyntheticField, Text, TextField, Transform,
};
use driver::Session;
use sema::{Column, DrawSpec, FieldSpec, Origin, Source, TrainSpec};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{DType, Tensor};

/// For each field of words, the words in the order of their ids.
pub type Tables = BTreeMap<String, Vec<String>>;

/// Reads the data. `places` are the words of `--data`: a path for the whole source, or NAME=PATH for one field. Words keep
/// the ids that `tables` gives them, where it knows the field.
pub fn read(
    cx: &Cx,
    session: &Session,
    file: &Path,
    train: &TrainSpec,
    places: &[String],
    tables: &Tables,
) -> Result<Box<dyn RowSource>, Fault> {
    let Some(source) = &train.source else {
        return augmented(cx, train, read_files(cx, session, train, places)?);
    };
    let mut path = source.path.as_ref().map(|path| locate(file, path));
    let mut replaced = Vec::new();
    for place in places {
        match place.split_once('=') {
            Some((name, file)) if train.fields.iter().any(|field| field.name == name) => {
                replaced.push((name.to_string(), PathBuf::from(file)));
            }
            Some((_, file)) => path = Some(file.into()),
            None => path = Some(place.into()),
        }
    }
    let limits = cx.limits();
    let dataset: Box<dyn RowSource> = match (source.kind.as_str(), &path) {
        ("csv", Some(path)) => {
            Csv { limits, ..Csv::new(csv_fields(session, train, source, tables)?) }.open(path)?
        }
        ("parquet", Some(path)) => {
            Box::new(data::read_parquet(path, &csv_fields(session, train, source, tables)?, &limits)?)
        }
        ("npz", Some(path)) => {
            Box::new(data::read_npz(path, &array_fields(session, train, source)?, &limits)?)
        }
        ("safetensors", Some(path)) => {
            Box::new(data::read_safetensors(path, &array_fields(session, train, source)?, &limits)?)
        }
        (kind @ ("npy" | "idx"), Some(path)) => {
            // A folder holds a file for each field; a file feeds them all.
            let place = |entry: &str| if path.is_dir() { path.join(entry) } else { path.clone() };
            let fields = array_fields(session, train, source)?;
            let files: Vec<(PathBuf, ArrayField)> =
                fields.into_iter().map(|field| (place(&field.entry), field)).collect();
            let files: Vec<(&Path, ArrayField)> =
                files.iter().map(|(path, field)| (path.as_path(), field.clone())).collect();
            let read = if kind == "idx" { data::read_idx } else { data::read_npy };
            Box::new(read(&files, &limits)?)
        }
        ("text", Some(path)) => Box::new(text(session, train, source, tables)?.read(path, &limits)?),
        ("images", Some(path)) => images(session, train, source, tables)?.open(path, &limits)?,
        ("synthetic", _) => {
            let rows = source.rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0);
            let seed = cx.everywhere.seed.unwrap_or(u64::try_from(train.seed).unwrap_or(0));
            Box::new(data::synthetic(rows, &synthetic_fields(session, train, source)?, seed, &limits)?)
        }
        (kind, _) => {
            return Err(
                Diagnostic::error("E0501", format!("the data source `{kind}` is not supported yet")).into()
            );
        }
    };
    let mut dataset = Overlay::new(dataset);
    for (name, file) in replaced {
        let field = field(session, train, &name)?;
        let array = ArrayField {
            name: name.clone(),
            entry: name.clone(),
            dtype: field.0,
            row_shape: field.1,
            steps: Vec::new(),
        };
        let other = data::read_npy(&[(&file, array)], &limits)?;
        for (name, array) in other.fields {
            dataset.add(&name, array, &format!("`{}`", file.display()))?;
        }
    }
    add_defaults(train, session, &mut dataset)?;
    augmented(cx, train, dataset.into_source())
}

/// Without a source in the model: every field from `--data`.
fn read_files(
    cx: &Cx,
    session: &Session,
    train: &TrainSpec,
    places: &[String],
) -> Result<Box<dyn RowSource>, Fault> {
    let limits = cx.limits();
    let arrays = |skip_defaults: bool| -> Result<Vec<ArrayField>, Fault> {
        let wanted = train.fields.iter().filter(|field| !(skip_defaults && field.default.is_some()));
        let fields = wanted.map(|wanted| {
            let (dtype, row_shape) = field(session, train, &wanted.name)?;
            Ok(ArrayField {
                name: wanted.name.clone(),
                entry: wanted.name.clone(),
                dtype,
                row_shape,
                steps: Vec::new(),
            })
        });
        fields.collect()
    };
    let dataset = match places {
        [] => {
            return Err(Diagnostic::error("E0824", "nothing says where the data are")
                .label(train.span, "no `data` here")
                .help("add `data = csv(…)`, or pass `--data file.npz` with an array for each field")
                .into_told(session));
        }
        [place] if !place.contains('=') => {
            let path = Path::new(place);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("npz") => data::read_npz(path, &arrays(true)?, &limits)?,
                Some("safetensors") => data::read_safetensors(path, &arrays(true)?, &limits)?,
                _ => {
                    return Err(Diagnostic::error("E0824", format!("`{place}` is not a file of named arrays"))
                        .help("without `data` in the model, give `--data file.npz`, or NAME=file.npy for each field")
                        .into());
                }
            }
        }
        _ => {
            let all = arrays(false)?;
            let mut files = Vec::new();
            for place in places {
                let (name, path) = place.split_once('=').unwrap_or(("", place));
                let Some(array) = all.iter().find(|array| array.name == name) else {
                    let near = base::did_you_mean(name, all.iter().map(|array| array.name.as_str()));
                    return Err(Diagnostic::error(
                        "E0824",
                        format!("`--data {place}`: training reads no field `{name}`"),
                    )
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
                    .into());
                };
                files.push((Path::new(path), array.clone()));
            }
            data::read_npy(&files, &limits)?
        }
    };
    let mut dataset = Overlay::new(Box::new(dataset));
    add_defaults(train, session, &mut dataset)?;
    Ok(dataset.into_source())
}

/// What the model's `augment` asks for.
fn augmented(cx: &Cx, train: &TrainSpec, source: Box<dyn RowSource>) -> Result<Box<dyn RowSource>, Fault> {
    if train.augment.is_empty() {
        return Ok(source);
    }
    let size = |length: i64| usize::try_from(length).unwrap_or(0);
    let transform = |transform: &sema::Transform| match *transform {
        sema::Transform::RandomCrop { height, width, padding } => {
            Transform::RandomCrop { height: size(height), width: size(width), padding: size(padding) }
        }
        sema::Transform::Flip => Transform::Flip,
    };
    let augments = train.augment.iter().map(|augment| Augment {
        field: augment.field.clone(),
        transforms: augment.transforms.iter().map(transform).collect(),
    });
    let seed = cx.everywhere.seed.unwrap_or(u64::try_from(train.seed).unwrap_or(0));
    Ok(Box::new(Augmented::new(source, &augments.collect::<Vec<_>>(), seed)?))
}

/// A path of the model: beside its file, else from the current folder.
fn locate(file: &Path, path: &str) -> PathBuf {
    let beside = folder_of(file).join(path);
    if beside.exists() || !Path::new(path).exists() { beside } else { path.into() }
}

/// Dtype and shape of one row of a field; the shape is left open where a dimension is not known.
fn field(session: &Session, train: &TrainSpec, name: &str) -> Result<(DType, Option<Vec<usize>>), Fault> {
    let known = train.fields.iter().find(|field| field.name == name);
    let Some(FieldSpec { ty, .. }) = known else {
        // Read, and then ignored with a note: any dtype that holds numbers will do.
        return Ok((DType::F64, None));
    };
    let dtype = dtype(session, ty)?;
    Ok((dtype, ty.shape.iter().skip(1).map(|dim| size(session, dim)).collect()))
}

/// Of a dimension that is a number, or that `--bind` made one.
fn size(session: &Session, dim: &shape::Dim) -> Option<usize> {
    let bound = dim.as_symbol().and_then(|symbol| session.options.sema.bind.get(symbol.name()).copied());
    usize::try_from(dim.as_const().or(bound)?).ok()
}

pub fn dtype(session: &Session, ty: &graph::Type) -> Result<DType, Fault> {
    let name = ty.dtype.concrete(session.options.float).name();
    DType::parse(name)
        .ok_or_else(|| Diagnostic::error("E0812", format!("the dtype `{name}` is not known")).into())
}

fn column(column: &Column) -> data::Column {
    match column {
        Column::Index(index) => data::Column::Index(usize::try_from(*index).unwrap_or(usize::MAX)),
        Column::Name(name) => data::Column::Name(name.clone()),
    }
}

fn csv_fields(
    session: &Session,
    train: &TrainSpec,
    source: &Source,
    tables: &Tables,
) -> Result<Vec<CsvField>, Fault> {
    let index = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut fields = Vec::new();
    for described in &source.fields {
        let columns = match &described.origin {
            Origin::Column(one) => Columns::One(column(one)),
            // One name is still a vector, of length 1.
            Origin::Columns(columns) => Columns::Listed(columns.iter().map(column).collect()),
            Origin::Indices { from, to } => Columns::Indices(index(*from)..index(*to)),
            Origin::Names { from, to } => Columns::Names(from.clone(), to.clone()),
            _ => continue,
        };
        let (dtype, row_shape) = field(session, train, &described.field)?;
        let new = CsvField::new(described.field.clone(), columns, dtype);
        let table = tables.get(&described.field).cloned();
        fields.push(CsvField { row_shape, table, steps: steps(&described.steps), ..new });
    }
    Ok(fields)
}

/// Fields of a file of arrays: those named in the source, and any other that training reads, by its own name.
fn array_fields(session: &Session, train: &TrainSpec, source: &Source) -> Result<Vec<ArrayField>, Fault> {
    let mut entries: Vec<(&str, &str, &[sema::Step])> = Vec::new();
    for described in &source.fields {
        if let Origin::Entry(entry) = &described.origin {
            entries.push((&described.field, entry, &described.steps));
        }
    }
    for wanted in &train.fields {
        if wanted.default.is_none() && !entries.iter().any(|(field, ..)| *field == wanted.name) {
            entries.push((&wanted.name, &wanted.name, &[]));
        }
    }
    let fields = entries.into_iter().map(|(name, entry, arithmetic)| {
        let (dtype, row_shape) = field(session, train, name)?;
        Ok(ArrayField { name: name.into(), entry: entry.into(), dtype, row_shape, steps: steps(arithmetic) })
    });
    fields.collect()
}

fn steps(steps: &[sema::Step]) -> Vec<data::Step> {
    let steps = steps.iter().map(|step| match *step {
        sema::Step::Add(number) => data::Step::Add(number),
        sema::Step::Multiply(number) => data::Step::Multiply(number),
        sema::Step::Divide(number) => data::Step::Divide(number),
    });
    steps.collect()
}

fn text(session: &Session, train: &TrainSpec, source: &Source, tables: &Tables) -> Result<Text, Fault> {
    let mut text = Text { window: 0, fields: Vec::new(), table: known(source, tables) };
    for described in &source.fields {
        let next = match described.origin {
            Origin::Window(length) => {
                text.window = usize::try_from(length).unwrap_or(0);
                false
            }
            Origin::Next => true,
            _ => continue,
        };
        let (dtype, _) = field(session, train, &described.field)?;
        text.fields.push(TextField { name: described.field.clone(), next, dtype });
    }
    Ok(text)
}

fn images(session: &Session, train: &TrainSpec, source: &Source, tables: &Tables) -> Result<Images, Fault> {
    let side = |length: i64| usize::try_from(length).unwrap_or(0);
    let mut fields = Vec::new();
    for described in &source.fields {
        let origin = match described.origin {
            Origin::Picture { height, width, crop } => {
                ImageOrigin::Picture { height: side(height), width: side(width), crop }
            }
            Origin::Folder => ImageOrigin::Folder,
            _ => continue,
        };
        let (dtype, _) = field(session, train, &described.field)?;
        fields.push(ImageField {
            name: described.field.clone(),
            origin,
            dtype,
            steps: steps(&described.steps),
        });
    }
    Ok(Images { fields, table: known(source, tables) })
}

/// Of a source that has one table for all its fields of words.
fn known(source: &Source, tables: &Tables) -> Option<Vec<String>> {
    source.fields.iter().find_map(|described| tables.get(&described.field)).cloned()
}

fn synthetic_fields(
    session: &Session,
    train: &TrainSpec,
    source: &Source,
) -> Result<Vec<SyntheticField>, Fault> {
    let mut fields = Vec::new();
    for described in &source.fields {
        let (name, Origin::Draw(draw)) = (&described.field, &described.origin) else { continue };
        let (dtype, row_shape) = field(session, train, name)?;
        let distribution = match *draw {
            DrawSpec::Normal { mean, std } => Distribution::Normal(mean, std),
            DrawSpec::Uniform { low, high } => Distribution::Uniform(low, high),
        };
        let Some(row_shape) = row_shape else {
            return Err(Diagnostic::error("E0825", format!("a row of the field `{name}` has no fixed size"))
                .label(source.span, "drawn here")
                .help("fix its dimensions with `--bind`")
                .into_told(session));
        };
        fields.push(SyntheticField { name: name.clone(), distribution, dtype, row_shape });
    }
    Ok(fields)
}

/// Fields with a default that the data leave out: a value in every row, or one for the whole batch where the field has no
/// batch axis.
fn add_defaults(train: &TrainSpec, session: &Session, dataset: &mut Overlay) -> Result<(), Fault> {
    for wanted in &train.fields {
        let (Some(value), false) = (wanted.default, dataset.has(&wanted.name)) else {
            continue;
        };
        let (dtype, row_shape) = field(session, train, &wanted.name)?;
        if has_batch_axis(train, wanted) {
            dataset.add_constant(&wanted.name, full(row_shape.unwrap_or_default(), value)?.cast(dtype)?);
            continue;
        }
        let sizes: Option<Vec<usize>> = wanted.ty.shape.iter().map(|dim| size(session, dim)).collect();
        let Some(sizes) = sizes else {
            return Err(Diagnostic::error(
                "E0825",
                format!("the input `{}`, which the data leave out, has no fixed size", wanted.name),
            )
            .label(train.span, "trained here")
            .help("fix its dimensions with `--bind`")
            .into_told(session));
        };
        dataset.add_whole(&wanted.name, full(sizes, value)?.cast(dtype)?);
    }
    Ok(())
}

/// The first axis of what the data give is the batch's; an input that begins with another has one value for all rows.
fn has_batch_axis(train: &TrainSpec, field: &FieldSpec) -> bool {
    let first = |field: &FieldSpec| field.ty.shape.first().cloned();
    let batch = train.fields.iter().filter(|field| field.default.is_none()).find_map(first);
    first(field).is_some_and(|axis| batch.is_none_or(|batch| batch == axis))
}

/// As [`add_defaults`] for the arrays of one batch, whose rows the other fields tell.
pub fn fill_defaults(train: &TrainSpec, arrays: &mut BTreeMap<String, Tensor>) -> Result<(), Fault> {
    let given = |field: &&FieldSpec| has_batch_axis(train, field);
    let rows = train.fields.iter().filter(given).find_map(|field| Some(arrays.get(&field.name)?.row_count()));
    for wanted in &train.fields {
        let (Some(value), false) = (wanted.default, arrays.contains_key(&wanted.name)) else { continue };
        let batched = has_batch_axis(train, wanted);
        let sizes: Option<Vec<usize>> = wanted
            .ty
            .shape
            .iter()
            .enumerate()
            .map(|(axis, dim)| match dim.as_const() {
                Some(size) => usize::try_from(size).ok(),
                None if axis == 0 && batched => rows,
                None => None,
            })
            .collect();
        if let Some(shape) = sizes {
            arrays.insert(wanted.name.clone(), full(shape, value)?);
        }
    }
    Ok(())
}

fn full(shape: Vec<usize>, value: f64) -> Result<Tensor, Diagnostic> {
    let count = tensor::element_count(&shape).unwrap_or(0);
    Tensor::from_vec(shape, vec![value; count])
}

/// A diagnostic that points into the session's sources.
trait IntoTold {
    fn into_told(self, session: &Session) -> Fault;
}

impl IntoTold for Diagnostic {
    fn into_told(self, session: &Session) -> Fault {
        Fault::Diagnostics(vec![self], session.sources.clone())
    }
}
