//! Every limit on data files: what is just within it is read, one more is refused.

use base::Diagnostic;
use data::{
    ArrayField, Column, Columns, Csv, CsvField, Text, TextField, decode_image, parse_idx, read_parquet,
    read_safetensors,
};
use image::{ImageFormat, Rgb, RgbImage};
use parquet::{
    data_type::Int32Type,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{collections::BTreeMap, fs, io::Cursor, path::Path, sync::Arc};
use tensor::{
    DType, Limits, Tensor, file, npy,
    npz::{self, Compression},
    safetensors::Weights,
};

/// Both sides of a limit: `read` gets it as it is needed, and one less.
fn both_sides(what: &str, code: &str, needed: u64, read: impl Fn(u64) -> Result<(), Diagnostic>) {
    if let Err(fault) = read(needed) {
        panic!("{what}: refused within the limit: {}", fault.message);
    }
    let fault = read(needed - 1).expect_err(what);
    assert_eq!(fault.code, code, "{what}: {}", fault.message);
}

fn arrays() -> BTreeMap<String, Tensor> {
    let array = |shape: &[usize]| Tensor::zeros(DType::F32, shape).expect("a small array");
    BTreeMap::from([("first".to_string(), array(&[4, 2])), ("second".to_string(), array(&[4]))])
}

fn at(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a temporary file");
    path
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = at(folder.path(), "t.bin", &[0; 1000]);
    both_sides("file", "E0602", 1000, |file_bytes| {
        file::read(&path, &Limits { file_bytes, ..Limits::default() }).map(drop)
    });
}

#[test]
fn arrays_of_npy_and_npz() {
    let bytes = npy::to_bytes(&arrays()["first"]).unwrap();
    both_sides("axes of npy", "E0602", 2, |rank| {
        npy::parse(&bytes, "t", &Limits { rank: rank as usize, ..Limits::default() }).map(drop)
    });
    both_sides("header of npy", "E0603", 118, |header_bytes| {
        npy::parse(&bytes, "t", &Limits { header_bytes: header_bytes as usize, ..Limits::default() })
            .map(drop)
    });
    let bytes = npz::to_bytes(&arrays(), Compression::Deflate).unwrap();
    let read = |limits: Limits| npz::parse(&bytes, "t", &limits).map(drop);
    both_sides("arrays of npz", "E0607", 2, |tensors| {
        read(Limits { tensors: tensors as usize, ..Limits::default() })
    });
    both_sides("names of npz", "E0607", "second.npy".len() as u64, |name_bytes| {
        read(Limits { name_bytes: name_bytes as usize, ..Limits::default() })
    });
    // Two headers of 128 bytes, eight numbers and four.
    both_sides("expansion of npz", "E0607", 256 + 48, |expanded_bytes| {
        read(Limits { expanded_bytes, ..Limits::default() })
    });
}

#[test]
fn the_ratio_of_npz() {
    let zeros = Tensor::zeros(DType::U8, [Limits::FREE_EXPANSION as usize]).unwrap();
    let bytes = npz::to_bytes(&BTreeMap::from([("x".to_string(), zeros)]), Compression::Deflate).unwrap();
    let total = Limits::FREE_EXPANSION + 128;
    let needed = total.div_ceil(bytes.len() as u64);
    both_sides("ratio of npz", "E0607", needed, |compression_ratio| {
        npz::parse(&bytes, "t", &Limits { compression_ratio, ..Limits::default() }).map(drop)
    });
}

#[test]
fn arrays_of_safetensors() {
    let bytes = Weights { tensors: arrays(), metadata: BTreeMap::new() }.to_bytes().unwrap();
    let read = |limits: Limits| Weights::parse(&bytes, "t", &limits).map(drop);
    both_sides("tensors", "E0703", 2, |tensors| {
        read(Limits { tensors: tensors as usize, ..Limits::default() })
    });
    both_sides("axes", "E0703", 2, |rank| read(Limits { rank: rank as usize, ..Limits::default() }));
    both_sides("names", "E0703", 6, |name| read(Limits { name_bytes: name as usize, ..Limits::default() }));
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    both_sides("header", "E0703", header, |header| {
        read(Limits { header_bytes: header as usize, ..Limits::default() })
    });
    let folder = tempfile::tempdir().unwrap();
    let path = at(folder.path(), "t.safetensors", &bytes);
    let field = ArrayField {
        name: "x".into(),
        entry: "first".into(),
        dtype: DType::F32,
        row_shape: None,
        steps: vec![],
    };
    both_sides("file", "E0602", bytes.len() as u64, |file_bytes| {
        read_safetensors(&path, std::slice::from_ref(&field), &Limits { file_bytes, ..Limits::default() })
            .map(drop)
    });
}

#[test]
fn idx() {
    let bytes = [&[0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 2][..], &[7; 6]].concat();
    let read = |limits: Limits| parse_idx("`t`", &bytes, &limits).map(drop);
    both_sides("axes", "E0640", 2, |rank| read(Limits { rank: rank as usize, ..Limits::default() }));
    both_sides("bytes", "E0602", 6, |expanded_bytes| read(Limits { expanded_bytes, ..Limits::default() }));
}

#[test]
fn tables() {
    let field = CsvField::new("x", Columns::Listed(vec![Column::Index(0), Column::Index(1)]), DType::F32);
    let text = "1,2,3\n40,50,60\n";
    let read = |limits: Limits| {
        Csv { limits, ..Csv::new(vec![field.clone()]) }.read_from("t", text.as_bytes()).map(drop)
    };
    both_sides("columns", "E0602", 3, |tensors| {
        read(Limits { tensors: tensors as usize, ..Limits::default() })
    });
    // Six digits, as the parser keeps them.
    both_sides("line", "E0602", 6, |line| read(Limits { line_bytes: line as usize, ..Limits::default() }));
    both_sides("values", "E0602", 16, |expanded_bytes| read(Limits { expanded_bytes, ..Limits::default() }));
}

#[test]
fn a_line_without_end_is_not_kept() {
    /// Commas for ever, counting those that were taken.
    struct Commas(u64);
    impl std::io::Read for Commas {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            into.fill(b',');
            self.0 += into.len() as u64;
            Ok(into.len())
        }
    }
    let field = CsvField::new("x", Columns::One(Column::Index(0)), DType::F32);
    let limits = Limits { line_bytes: 1 << 20, ..Limits::default() };
    let mut commas = Commas(0);
    let fault = Csv { limits, ..Csv::new(vec![field]) }.read_from("t", &mut commas).unwrap_err();
    assert_eq!(fault.code, "E0602");
    assert!(commas.0 <= 2 << 20, "{} bytes taken", commas.0);
}

#[test]
fn pictures() {
    let mut bytes = Vec::new();
    let picture = RgbImage::from_pixel(30, 20, Rgb([7; 3]));
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    both_sides("pixels", "E0602", 600, |image_pixels| {
        decode_image("`t`", &bytes, &Limits { image_pixels, ..Limits::default() }).map(drop)
    });
}

#[test]
fn texts() {
    let text = Text {
        window: 4,
        fields: vec![TextField { name: "x".into(), next: false, dtype: DType::I32 }],
        table: None,
    };
    both_sides("windows", "E0602", 32, |expanded_bytes| {
        text.read_bytes("t", b"abcdefghi", &Limits { expanded_bytes, ..Limits::default() }).map(drop)
    });
}

#[test]
fn parquet_files() {
    let schema = Arc::new(parse_message_type("message rows { required int32 x; }").unwrap());
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&[1, 2, 3, 4, 5], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = at(folder.path(), "t.parquet", &bytes);
    let field = CsvField::new("x", Columns::One(Column::Name("x".into())), DType::I32);
    let read = |limits: Limits| read_parquet(&path, std::slice::from_ref(&field), &limits).map(drop);
    both_sides("file", "E0602", bytes.len() as u64, |file_bytes| {
        read(Limits { file_bytes, ..Limits::default() })
    });
    // Numbers are kept in eight bytes until all are there.
    both_sides("values", "E0602", 40, |expanded_bytes| read(Limits { expanded_bytes, ..Limits::default() }));
}
