//! A folder of pictures, one subfolder a class.

use crate::{Dataset, FieldInfo, RowSource, Step, dataset::ContentHash, source::reused, steps::apply};
use base::Diagnostic;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage,
    imageops::{self, FilterType},
};
use indexmap::IndexMap;
use std::{
    fs,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
};
use tensor::{DType, Fnv64, Limits, Tensor, element_count, file};

/// Bytes that a decoder may take for one picture.
const MOST_MEMORY: u64 = 1 << 30;
/// Pictures of one source, and subfolders.
const MOST_PICTURES: usize = 10_000_000;

/// Pictures in the order of their subfolders' names, then of their own. Colours only: alpha is dropped, grey is spread
/// over the three channels, and an orientation noted in the file is not applied.
#[derive(Clone, PartialEq, Debug)]
pub struct Images {
    pub fields: Vec<ImageField>,
    /// The subfolders of an earlier reading, so that labels keep their meaning. A folder that is not among them is an
    /// error.
    pub table: Option<Vec<String>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ImageField {
    pub name: String,
    pub origin: ImageOrigin,
    pub dtype: DType,
    /// Done with every value of a picture.
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageOrigin {
    /// `[3, height, width]` from 0 to 1. `crop` keeps the proportions: the largest part of the
    /// wanted proportions is cut from the middle and then scaled.
    Picture { height: usize, width: usize, crop: bool },
    /// The subfolder's place in the sorted order of their names.
    Folder,
}

/// A picture's file and the place of its subfolder.
struct Entry {
    path: PathBuf,
    label: i64,
}

/// A folder whose pictures are decoded as they are asked for.
struct Pictures {
    images: Images,
    limits: Limits,
    entries: Vec<Entry>,
    fields: Vec<FieldInfo>,
    tables: IndexMap<String, Vec<String>>,
    hash: u64,
}

/// Threads that decode the pictures of a batch.
const DECODERS: usize = 4;

impl Images {
    /// All pictures, in memory.
    pub fn read(&self, folder: &Path, limits: &Limits) -> Result<Dataset, Diagnostic> {
        let source = format!("`{}`", folder.display());
        let (pictures, bytes) = self.list(folder, limits)?;
        if bytes > limits.expanded_bytes {
            return Err(Diagnostic::error(
                "E0602",
                format!(
                    "the {} pictures of {source} need more than the limit of {} bytes",
                    pictures.entries.len(),
                    limits.expanded_bytes
                ),
            ));
        }
        pictures.into_dataset(&source)
    }

    /// Pictures that take up to [`Limits::held_bytes`] are held in memory; larger folders are decoded batch by batch.
    pub fn open(&self, folder: &Path, limits: &Limits) -> Result<Box<dyn RowSource>, Diagnostic> {
        let (pictures, bytes) = self.list(folder, limits)?;
        if bytes <= limits.held_bytes {
            return Ok(Box::new(pictures.into_dataset(&format!("`{}`", folder.display()))?));
        }
        Ok(Box::new(pictures))
    }

    /// The folder's pictures, and the bytes that their fields would take.
    fn list(&self, folder: &Path, limits: &Limits) -> Result<(Pictures, u64), Diagnostic> {
        let source = format!("`{}`", folder.display());
        let labelled = self.fields.iter().any(|field| field.origin == ImageOrigin::Folder);
        let (entries, labels) = self.entries(folder, labelled)?;
        if entries.is_empty() {
            return Err(Diagnostic::error("E0620", format!("{source} holds no pictures"))
                .help("pictures are files that end in .png, .jpg or .jpeg"));
        }
        let (mut fields, mut tables, mut total) = (Vec::<FieldInfo>::new(), IndexMap::new(), 0u64);
        for field in &self.fields {
            let row_shape = match field.origin {
                ImageOrigin::Picture { height, width, .. } => vec![3, height, width],
                ImageOrigin::Folder => {
                    tables.insert(field.name.clone(), labels.clone());
                    Vec::new()
                }
            };
            let bytes = element_count(&row_shape)
                .and_then(|count| (count as u64).checked_mul(field.dtype.size() as u64))
                .and_then(|bytes| bytes.checked_mul(entries.len() as u64));
            total = bytes.and_then(|bytes| total.checked_add(bytes)).unwrap_or(u64::MAX);
            if fields.iter().any(|known| known.name == field.name) {
                return Err(Diagnostic::error(
                    "E0631",
                    format!("{source} is asked for the field `{}` twice", field.name),
                ));
            }
            fields.push(FieldInfo { name: field.name.clone(), dtype: field.dtype, row_shape });
        }
        let hash = hash_of(folder, &entries, &fields, &tables)?;
        Ok((Pictures { images: self.clone(), limits: *limits, entries, fields, tables, hash }, total))
    }

    /// All pictures, and the names of the labels.
    fn entries(&self, folder: &Path, labelled: bool) -> Result<(Vec<Entry>, Vec<String>), Diagnostic> {
        let (folders, loose) = listing(folder)?;
        if labelled && let Some(path) = loose.first() {
            return Err(Diagnostic::error(
                "E0641",
                format!("`{}` lies in no subfolder, which would be its label", path.display()),
            ));
        }
        let mut entries: Vec<Entry> = loose.into_iter().map(|path| Entry { path, label: 0 }).collect();
        let mut names = Vec::new();
        for folder in &folders {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                let message = format!("the name of `{}` is not UTF-8", folder.display());
                return Err(Diagnostic::error("E0641", message));
            };
            names.push(name.to_string());
        }
        let labels = self.table.clone().unwrap_or_else(|| names.clone());
        for (folder, name) in folders.iter().zip(&names) {
            let Some(label) = labels.iter().position(|label| label == name) else {
                let near = base::did_you_mean(name, labels.iter().map(String::as_str));
                return Err(Diagnostic::error(
                    "E0636",
                    format!("the folder `{}` was not in the data that gave the labels", folder.display()),
                )
                .maybe_help(near.map(|near| format!("did you mean `{near}`?"))));
            };
            let (deeper, pictures) = listing(folder)?;
            if let Some(deeper) = deeper.first() {
                return Err(Diagnostic::error(
                    "E0641",
                    format!("`{}` is a folder in a folder of pictures", deeper.display()),
                )
                .help("labels are the folders of one level"));
            }
            entries.extend(pictures.into_iter().map(|path| Entry { path, label: label as i64 }));
            if entries.len() > MOST_PICTURES {
                let message = format!("`{}` holds more than {MOST_PICTURES} pictures", folder.display());
                return Err(Diagnostic::error("E0602", message));
            }
        }
        Ok((entries, labels))
    }
}

impl RowSource for Pictures {
    fn rows(&self) -> usize {
        self.entries.len()
    }

    fn fields(&self) -> Vec<FieldInfo> {
        self.fields.clone()
    }

    fn tables(&self) -> &IndexMap<String, Vec<String>> {
        &self.tables
    }

    fn content_hash(&self) -> u64 {
        self.hash
    }

    fn is_held(&self) -> bool {
        false
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
            let info = &self.fields[*field];
            batch.push(reused(old.next(), info.dtype, rows.len(), &info.row_shape)?);
        }
        let share = rows.len().div_ceil(DECODERS).max(1);
        let parts = thread::scope(|scope| {
            let decoders: Vec<_> =
                rows.chunks(share).map(|rows| scope.spawn(move || self.decode(wanted, rows))).collect();
            // In the order of the rows, so that the same fault is told each time. `decode` catches what panics.
            let joined = decoders.into_iter().map(|decoder| {
                let lost = || Diagnostic::error("E0642", "a thread that decodes pictures ended early");
                decoder.join().unwrap_or_else(|_| Err(lost()))
            });
            joined.collect::<Result<Vec<_>, Diagnostic>>()
        })?;
        for (slot, target) in batch.iter_mut().enumerate() {
            let mut rest = target.bytes_mut();
            for part in &parts {
                let (here, after) = rest.split_at_mut(part[slot].len());
                here.copy_from_slice(&part[slot]);
                rest = after;
            }
        }
        Ok(())
    }
}

impl Pictures {
    fn into_dataset(self, source: &str) -> Result<Dataset, Diagnostic> {
        let wanted: Vec<usize> = (0..self.fields.len()).collect();
        let mut made = Vec::with_capacity(wanted.len());
        for field in &self.fields {
            made.push(reused(None, field.dtype, self.entries.len(), &field.row_shape)?);
        }
        let (mut done, mut batch) = (0, Vec::new());
        let rows: Vec<usize> = (0..self.entries.len()).collect();
        // A few at a time: decoded pictures shall not lie in memory twice.
        for rows in rows.chunks(8 * DECODERS) {
            self.gather(&wanted, rows, None, &mut batch)?;
            for (whole, part) in made.iter_mut().zip(&batch) {
                let size = part.bytes().len() / rows.len();
                whole.bytes_mut()[done * size..][..part.bytes().len()].copy_from_slice(part.bytes());
            }
            done += rows.len();
        }
        let fields = self.fields.iter().map(|field| field.name.clone()).zip(made).collect();
        Ok(Dataset { tables: self.tables, ..Dataset::new(source, fields)? })
    }

    /// The bytes of each wanted field, row after row.
    fn decode(&self, wanted: &[usize], rows: &[usize]) -> Result<Vec<Vec<u8>>, Diagnostic> {
        let mut parts: Vec<Vec<u8>> = wanted.iter().map(|_| Vec::new()).collect();
        let pictures = wanted.iter().any(|field| self.images.fields[*field].origin != ImageOrigin::Folder);
        for row in rows {
            let entry = &self.entries[*row];
            let picture = match pictures {
                true => {
                    let name = format!("`{}`", entry.path.display());
                    Some(decode_image(&name, &file::read(&entry.path, &self.limits)?, &self.limits)?)
                }
                false => None,
            };
            for (field, part) in wanted.iter().zip(&mut parts) {
                let field = &self.images.fields[*field];
                let values = match (field.origin, &picture) {
                    (ImageOrigin::Picture { height, width, crop }, Some(picture)) => {
                        let values = channels_first(&fitted(picture, height, width, crop), &field.steps);
                        Tensor::from_vec([values.len()], values)?
                    }
                    _ => Tensor::from_vec([1], [entry.label])?,
                };
                part.extend_from_slice(values.convert(field.dtype)?.bytes());
            }
        }
        Ok(parts)
    }
}

/// Of a folder that is not decoded as a whole: which files it holds, and how long they are.
fn hash_of(
    folder: &Path,
    entries: &[Entry],
    fields: &[FieldInfo],
    tables: &IndexMap<String, Vec<String>>,
) -> Result<u64, Diagnostic> {
    let mut files = Fnv64::new();
    for entry in entries {
        let length = fs::metadata(&entry.path).map_err(|error| file::unreadable(&entry.path, &error))?.len();
        let name = entry.path.strip_prefix(folder).unwrap_or(&entry.path);
        files = files.text(&name.to_string_lossy()).number(length).number(entry.label.cast_unsigned());
    }
    let mut content = ContentHash::new();
    for field in fields {
        content.field(&field.name, field.dtype, entries.len(), &field.row_shape, files.finish());
    }
    tables.iter().for_each(|(name, table)| content.table(name, table));
    Ok(content.finish())
}

/// Decodes a png or jpeg of bounded size; `name` is what messages call it.
pub fn decode_image(name: &str, bytes: &[u8], limits: &Limits) -> Result<RgbImage, Diagnostic> {
    let wrong = |what: String| Diagnostic::error("E0642", format!("{name} cannot be decoded: {what}"));
    // A decoder is long, and of these bytes nothing is known.
    catch_unwind(AssertUnwindSafe(|| decode(name, bytes, limits)))
        .unwrap_or_else(|_| Err(wrong("its parts contradict each other".into())))
}

fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<RgbImage, Diagnostic> {
    let wrong = |what: String| Diagnostic::error("E0642", format!("{name} cannot be decoded: {what}"));
    let format = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        ImageFormat::Png
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        ImageFormat::Jpeg
    } else {
        return Err(wrong("it begins neither as a png nor as a jpeg".into()));
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut memory = image::Limits::default();
    memory.max_alloc = Some(MOST_MEMORY);
    reader.limits(memory);
    let decoder = reader.into_decoder().map_err(|error| wrong(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(wrong("it has no pixels".into()));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.image_pixels {
        return Err(Diagnostic::error(
            "E0602",
            format!("{name} has {width} × {height} pixels, more than the limit of {}", limits.image_pixels),
        ));
    }
    // As the decoder gives it, and then in three channels of a byte.
    let expanded = decoder.total_bytes().saturating_add(pixels * 3);
    if expanded > limits.expansion_of(bytes.len() as u64) {
        return Err(Diagnostic::error(
            "E0602",
            format!("{name} expands from {} bytes to {expanded}, more than the limits allow", bytes.len()),
        ));
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| wrong(error.to_string()))?;
    Ok(picture.into_rgb8())
}

/// Subfolders and pictures, each in the order of their names. Hidden files do not count; any other file is an error.
fn listing(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Diagnostic> {
    let unreadable = |error| file::unreadable(folder, &error);
    let (mut folders, mut pictures) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let is_folder = fs::metadata(&path).map_err(|error| file::unreadable(&path, &error))?.is_dir();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
        if is_folder {
            folders.push(path);
        } else if matches!(ending.as_str(), "png" | "jpg" | "jpeg") {
            pictures.push(path);
        } else {
            return Err(Diagnostic::error("E0641", format!("`{}` is no png or jpeg", path.display())).help(
                "a folder of pictures holds .png, .jpg and .jpeg files only; move this one elsewhere",
            ));
        }
        if folders.len().max(pictures.len()) > MOST_PICTURES {
            let message = format!("`{}` holds more than {MOST_PICTURES} files", folder.display());
            return Err(Diagnostic::error("E0602", message));
        }
    }
    folders.sort();
    pictures.sort();
    Ok((folders, pictures))
}

/// The picture in the wanted size, which sema keeps small.
fn fitted(picture: &RgbImage, height: usize, width: usize, crop: bool) -> RgbImage {
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let (height, width) = (side(height), side(width));
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    if !crop {
        return imageops::resize(picture, width, height, FilterType::Triangle);
    }
    // What the picture is cut to before it is scaled: the largest part of the wanted proportions, from its middle.
    let (have_w, have_h) = (u64::from(picture.width()), u64::from(picture.height()));
    let (want_w, want_h) = (u64::from(width), u64::from(height));
    let (cut_w, cut_h) = if have_w * want_h > have_h * want_w {
        ((have_h * want_w / want_h).max(1), have_h)
    } else {
        (have_w, (have_w * want_h / want_w).max(1))
    };
    let (x, y) = ((have_w - cut_w) / 2, (have_h - cut_h) / 2);
    // All are at most the picture's sides, which are u32.
    let part = imageops::crop_imm(picture, x as u32, y as u32, cut_w as u32, cut_h as u32).to_image();
    imageops::resize(&part, width, height, FilterType::Triangle)
}

/// `[channel][row][column]`, from 0 to 1.
fn channels_first(picture: &RgbImage, steps: &[Step]) -> Vec<f64> {
    let channel =
        |channel: usize| picture.pixels().map(move |pixel| apply(steps, f64::from(pixel.0[channel]) / 255.0));
    (0..3).flat_map(channel).collect()
}
