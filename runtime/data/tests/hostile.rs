//! Broken and malicious files of every format that is read: each ends in data or in a coded refusal that names the file,
//! soon, and in memory of at most twice the file and 64 MiB. The only test of this program, so that what it measures
//! of the process is its own.

use base::Diagnostic;
use data::{
    ArrayField, Column, Columns, Csv, CsvField, decode_image, read_idx, read_npy, read_npz, read_parquet,
    read_safetensors,
};
use image::{ImageFormat, Rgb, RgbImage};
use parquet::{
    basic::{Compression as Codec, GzipLevel},
    data_type::{ByteArray, ByteArrayType, FloatType, Int32Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tensor::{
    DType, Limits, Tensor, npy,
    npz::{self, Compression},
    philox::Stream,
    safetensors::Weights,
};

/// Of each seed.
const MUTANTS: u64 = 400;
const MEMORY: u64 = 64 << 20;
/// Ten times what the slowest needs on one busy core.
const TIME: Duration = Duration::from_secs(10);

type Reader = fn(&Path) -> Result<(), Diagnostic>;

/// `seed` with a few edits: flipped bits, extreme bytes and numbers, cuts, repeats, digits that grow.
fn mutate(seed: &[u8], which: u64, number: u64) -> Vec<u8> {
    let stream = Stream::new(which, "hostile", number);
    let mut bytes = seed.to_vec();
    for edit in 0..=u64::from(stream.words(0)[0] % 4) {
        let [kind, place, value, length] = stream.words(edit + 1);
        if bytes.is_empty() {
            break;
        }
        // Headers lie at the beginning, directories at the end, and there the decisions are.
        let last = bytes.len() - 1;
        let near = (place >> 2) as usize % bytes.len().min(160);
        let at = match place % 4 {
            0 => near,
            1 => last - near,
            _ => (place >> 2) as usize % bytes.len(),
        };
        let end = (at + 1 + length as usize % 16).min(bytes.len());
        match kind % 9 {
            0 => bytes[at] ^= 1 << (value % 8),
            1 => bytes[at] = [0x00, 0xff, 0x7f, 0x80][value as usize % 4],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => bytes[at..end].fill(0xff),
            6 => {
                let huge = [[0xff, 0xff, 0xff, 0x7f], [0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0, 0, 0, 0x40]];
                bytes.splice(at..(at + 4).min(bytes.len()), huge[value as usize % 4]);
            }
            7 => bytes[at] = value as u8,
            _ => {
                let digits = bytes.iter_mut().skip(at).take(16).filter(|byte| byte.is_ascii_digit());
                digits.for_each(|byte| *byte = b'9');
            }
        }
    }
    bytes
}

fn array(name: &str) -> ArrayField {
    ArrayField { name: name.into(), entry: name.into(), dtype: DType::F32, row_shape: None, steps: vec![] }
}

fn column(name: &str, dtype: DType) -> CsvField {
    CsvField::new(name, Columns::One(Column::Name(name.into())), dtype)
}

fn limits() -> Limits {
    Limits::default()
}

fn npy(path: &Path) -> Result<(), Diagnostic> {
    read_npy(&[(path, array("image"))], &limits()).map(drop)
}

fn npz(path: &Path) -> Result<(), Diagnostic> {
    read_npz(path, &[array("image"), array("label")], &limits()).map(drop)
}

fn safetensors(path: &Path) -> Result<(), Diagnostic> {
    read_safetensors(path, &[array("image"), array("label")], &limits()).map(drop)
}

fn idx(path: &Path) -> Result<(), Diagnostic> {
    read_idx(&[(path, array("image"))], &limits()).map(drop)
}

fn table() -> Csv {
    Csv::new(vec![column("a", DType::F32), column("word", DType::I32), column("count", DType::I64)])
}

fn csv(path: &Path) -> Result<(), Diagnostic> {
    table().open(path).map(drop)
}

/// As [`csv`], with rows read from the file.
fn csv_rows(path: &Path) -> Result<(), Diagnostic> {
    let rows = Csv { limits: Limits { held_bytes: 0, ..limits() }, ..table() }.open(path)?;
    let last = rows.rows() - 1;
    rows.gather(&[0, 1, 2], &[last, 0, last / 2], None, &mut Vec::new())
}

fn parquet(path: &Path) -> Result<(), Diagnostic> {
    let fields = [column("a", DType::F32), column("word", DType::I32), column("count", DType::I64)];
    read_parquet(path, &fields, &limits()).map(drop)
}

fn picture(path: &Path) -> Result<(), Diagnostic> {
    let bytes = tensor::file::read(path, &limits())?;
    decode_image(&format!("`{}`", path.display()), &bytes, &limits()).map(drop)
}

fn arrays() -> BTreeMap<String, Tensor> {
    let image: Vec<f32> = (0..1200).map(|number| number as f32).collect();
    let label: Vec<i64> = (0..100).collect();
    let arrays = [("image", Tensor::from_vec([100, 12], image)), ("label", Tensor::from_vec([100], label))];
    arrays.into_iter().map(|(name, array)| (name.to_string(), array.expect("a seed"))).collect()
}

fn parquet_seed(codec: Codec, rows: usize, varied: bool) -> Vec<u8> {
    let schema = "message rows { required float a; required binary word (UTF8); required int32 count; }";
    let schema = Arc::new(parse_message_type(schema).expect("a seed"));
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("a seed");
    let mut group = writer.next_row_group().expect("a seed");
    let vary = |row: usize| if varied { row } else { 0 };
    let mut next = group.next_column().expect("a seed").expect("a seed");
    let floats: Vec<f32> = (0..rows).map(|row| vary(row) as f32).collect();
    next.typed::<FloatType>().write_batch(&floats, None, None).expect("a seed");
    next.close().expect("a seed");
    let mut next = group.next_column().expect("a seed").expect("a seed");
    let words: Vec<ByteArray> = (0..rows).map(|row| ["yes", "no"][vary(row) % 2].into()).collect();
    next.typed::<ByteArrayType>().write_batch(&words, None, None).expect("a seed");
    next.close().expect("a seed");
    let mut next = group.next_column().expect("a seed").expect("a seed");
    let counts: Vec<i32> = (0..rows).map(|row| vary(row) as i32).collect();
    next.typed::<Int32Type>().write_batch(&counts, None, None).expect("a seed");
    next.close().expect("a seed");
    group.close().expect("a seed");
    writer.close().expect("a seed");
    bytes
}

fn png_of(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).expect("a seed");
    bytes
}

fn seeds() -> Vec<(&'static str, Reader, Vec<u8>)> {
    let mut varied = RgbImage::new(40, 30);
    varied.enumerate_pixels_mut().for_each(|(x, y, pixel)| *pixel = Rgb([x as u8 * 6, y as u8 * 8, 90]));
    let mut text = "a,word,count\n".to_string();
    (0..200).for_each(|row| text += &format!("{}.5,{},{row}\n", row * 3, ["\"y, es\"", "no"][row % 2]));
    let numbers: Vec<u8> = [&[0, 0, 8, 2, 0, 0, 0, 30, 0, 0, 0, 20][..], &[5; 600]].concat();
    vec![
        ("npy", npy, npy::to_bytes(&arrays()["image"]).expect("a seed")),
        ("npz", npz, npz::to_bytes(&arrays(), Compression::Store).expect("a seed")),
        ("deflated npz", npz, npz::to_bytes(&arrays(), Compression::Deflate).expect("a seed")),
        (
            "safetensors",
            safetensors,
            Weights { tensors: arrays(), metadata: BTreeMap::new() }.to_bytes().expect("a seed"),
        ),
        ("idx", idx, numbers),
        ("csv", csv, text.clone().into_bytes()),
        ("rows of csv", csv_rows, text.into_bytes()),
        ("png", picture, png_of(&varied, ImageFormat::Png)),
        ("jpeg", picture, png_of(&varied, ImageFormat::Jpeg)),
        ("parquet", parquet, parquet_seed(Codec::UNCOMPRESSED, 100, true)),
        ("parquet with snappy", parquet, parquet_seed(Codec::SNAPPY, 100, true)),
        ("parquet with gzip", parquet, parquet_seed(Codec::GZIP(GzipLevel::default()), 100, true)),
    ]
}

/// Files that ask for as much as they can.
fn crafted() -> Vec<(&'static str, Reader, Vec<u8>)> {
    let npy_of = |shape: &str, data: usize| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let padding = " ".repeat(117 - header.len());
        let head = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), padding.as_bytes(), b"\n"].concat();
        [head, vec![0; data]].concat()
    };
    let weights_of = |header: &str, data: usize| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    let zeros =
        |bytes| BTreeMap::from([("image".to_string(), Tensor::zeros(DType::U8, [bytes]).expect("a seed"))]);
    let flat = |side| RgbImage::from_pixel(side, side, Rgb([9; 3]));
    let idx_of = |dims: &[u32], data: usize| {
        let dims: Vec<u8> = dims.iter().flat_map(|dim| dim.to_be_bytes()).collect();
        [&[0, 0, 0x0e, (dims.len() / 4) as u8][..], &dims, &vec![0; data]].concat()
    };
    let mut huge = png_of(&flat(3), ImageFormat::Png);
    huge[16..24].copy_from_slice(&[0, 0, 0x1f, 0, 0, 0, 0x20, 0]);
    let mut jpeg = png_of(&flat(16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|mark| mark == [0xff, 0xc0]).expect("a seed");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0xff, 0x1f, 0xff]);
    let many: String = (0..20_000)
        .map(|number| format!("\"t{number}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},"))
        .collect();
    vec![
        ("npy of 8 TB", npy, npy_of("(1099511627776,)", 8)),
        ("npy whose size overflows", npy, npy_of("(4294967296, 4294967296, 16)", 8)),
        ("npy of nothing, for ever", npy, npy_of("(1099511627776, 0)", 0)),
        ("npz of zeros", npz, npz::to_bytes(&zeros(40 << 20), Compression::Deflate).expect("a seed")),
        ("npz of fewer zeros", npz, npz::to_bytes(&zeros(8_000_000), Compression::Deflate).expect("a seed")),
        (
            "weights of 8 EB",
            safetensors,
            weights_of(
                "{\"image\":{\"dtype\":\"F64\",\"shape\":[1152921504606846975],\"data_offsets\":[0,9223372036854775800]}}",
                8,
            ),
        ),
        ("a header of 8 EB", safetensors, [&[0xff; 7][..], &[0x7f], b"{}"].concat()),
        (
            "weights in one place",
            safetensors,
            weights_of(
                "{\"image\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"label\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
                8,
            ),
        ),
        ("many weights", safetensors, weights_of(&format!("{{{}\"__metadata__\":{{}}}}", many), 0)),
        (
            "nested header",
            safetensors,
            weights_of(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), 0),
        ),
        ("idx of everything", idx, idx_of(&[u32::MAX; 8], 8)),
        ("idx of nothing", idx, idx_of(&[u32::MAX, u32::MAX, 0], 0)),
        ("a line of commas", csv, vec![b','; 30 << 20]),
        ("a line of text", csv, vec![b'x'; 30 << 20]),
        ("an open quote", csv, [b"a,word,count\n1,\"".to_vec(), vec![b'\n'; 30 << 20]].concat()),
        ("a wide header", csv, vec![b','; 3 << 20]),
        ("empty lines", csv, vec![b'\n'; 30 << 20]),
        ("many short rows", csv, [b"a,word,count\n".to_vec(), b"1,w,1\n".repeat(3 << 20)].concat()),
        (
            "many short rows in the file",
            csv_rows,
            [b"a,word,count\n".to_vec(), b"1,w,1\n".repeat(3 << 20)].concat(),
        ),
        ("png of 64 M pixels", picture, huge),
        ("jpeg of 64 M pixels", picture, jpeg),
        ("a flat png", picture, png_of(&flat(4000), ImageFormat::Png)),
        ("parquet of one value", parquet, parquet_seed(Codec::SNAPPY, 1_000_000, false)),
        (
            "parquet of one value, packed",
            parquet,
            parquet_seed(Codec::GZIP(GzipLevel::default()), 1_000_000, false),
        ),
        ("no file at all", parquet, b"PAR1\xff\xff\xff\x7fPAR1".to_vec()),
    ]
}

/// Present and highest memory of this process in bytes, where the system tells them.
fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let find = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some((find("VmRSS:")?, find("VmHWM:")?))
}

/// Reads one file and measures it; whether it was refused.
fn survive(what: &str, path: &Path, bytes: &[u8], read: Reader) -> bool {
    fs::write(path, bytes).expect("a temporary file");
    // Linux forgets the highest memory use when it is told to.
    let before = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| memory());
    let started = Instant::now();
    let result = read(path);
    let (took, after) = (started.elapsed(), memory());
    assert!(took < TIME, "{what} took {took:?}");
    if let (Some((before, _)), Some((_, peak))) = (before, after) {
        let grown = peak.saturating_sub(before);
        assert!(
            grown <= 2 * bytes.len() as u64 + MEMORY,
            "{what}: {grown} bytes for a file of {}",
            bytes.len()
        );
    }
    match result {
        Ok(()) => false,
        Err(fault) => {
            assert!(fault.code.starts_with("E06") || fault.code.starts_with("E07"), "{what}: {fault:?}");
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("?");
            assert!(fault.message.contains(name), "{what}: no file is named: {}", fault.message);
            true
        }
    }
}

#[test]
fn broken_files_cost_little_and_end_in_a_code() {
    // What decoders assert is caught; their stories need not be printed.
    std::panic::set_hook(Box::new(|info| {
        if !info
            .location()
            .is_some_and(|place| place.file().contains(".cargo") || place.file().contains("rustc"))
        {
            eprintln!("{info}");
        }
    }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.bin");
    for (what, read, bytes) in crafted() {
        survive(what, &path, &bytes, read);
    }
    for (which, (what, read, seed)) in seeds().into_iter().enumerate() {
        assert!(!survive(what, &path, &seed, read), "{what} itself is refused");
        let refused = (0..MUTANTS)
            .filter(|number| {
                survive(&format!("{what} {number}"), &path, &mutate(&seed, which as u64, *number), read)
            })
            .count() as u64;
        assert!(refused > MUTANTS / 8 && refused < MUTANTS, "{what}: {refused} of {MUTANTS} are refused");
    }
}
