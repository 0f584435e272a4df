//! Parquet: what is read, what is refused, and files made to break the reader.
#![allow(clippy::unwrap_used, reason = "a test")]

use data::{Column, Columns, CsvField, Dataset, Step, read_parquet};
use parquet::{
    basic::Compression,
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type, Int96,
        Int96Type,
    },
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{fs, path::Path, sync::Arc};
use tensor::{DType, Limits, philox::Stream};

/// Two row groups of three rows; `hole` leaves out the second value of the optional column.
fn table(compression: Compression, hole: bool) -> Vec<u8> {
    let schema = "message t {
        required float a; required double b; required int32 c; required int64 d; required boolean e;
        required binary word (UTF8); optional int32 maybe; required int32 big (UINT_32);
    }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for group in 0..2i32 {
        let mut rows = writer.next_row_group().unwrap();
        let mut number = 0;
        while let Some(mut column) = rows.next_column().unwrap() {
            let at = |row: i32| group * 3 + row;
            let (a, c) = ([0, 1, 2].map(|row| at(row) as f32 + 0.5), [0, 1, 2].map(at));
            match number {
                0 => drop(column.typed::<FloatType>().write_batch(&a, None, None).unwrap()),
                1 => drop(column.typed::<DoubleType>().write_batch(&a.map(f64::from), None, None).unwrap()),
                2 => drop(column.typed::<Int32Type>().write_batch(&c, None, None).unwrap()),
                3 => drop(column.typed::<Int64Type>().write_batch(&c.map(i64::from), None, None).unwrap()),
                4 => drop(column.typed::<BoolType>().write_batch(&[true, false, true], None, None).unwrap()),
                5 => {
                    let words = ["pear", "fig", "pear"].map(ByteArray::from);
                    column.typed::<ByteArrayType>().write_batch(&words, None, None).unwrap();
                }
                6 if hole => {
                    column.typed::<Int32Type>().write_batch(&c[..2], Some(&[1, 0, 1]), None).unwrap();
                }
                6 => drop(column.typed::<Int32Type>().write_batch(&c, Some(&[1, 1, 1]), None).unwrap()),
                _ => drop(column.typed::<Int32Type>().write_batch(&[-1, 0, 1], None, None).unwrap()),
            }
            column.close().unwrap();
            number += 1;
        }
        rows.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn named(name: &str, dtype: DType) -> CsvField {
    CsvField::new(name, Columns::One(Column::Name(name.into())), dtype)
}

fn read(bytes: &[u8], fields: &[CsvField]) -> Result<Dataset, base::Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    read_at(&folder.path().join("t.parquet"), bytes, fields, &Limits::default())
}

fn read_at(
    path: &Path,
    bytes: &[u8],
    fields: &[CsvField],
    limits: &Limits,
) -> Result<Dataset, base::Diagnostic> {
    fs::write(path, bytes).unwrap();
    read_parquet(path, fields, limits)
}

#[test]
fn every_type() {
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())]
    {
        let fields = [
            CsvField {
                row_shape: Some(vec![2, 1]),
                ..CsvField::new("x", Columns::Names("a".into(), "b".into()), DType::F32)
            },
            named("c", DType::I32),
            CsvField { steps: vec![Step::Divide(2.0)], ..named("d", DType::F64) },
            named("e", DType::Bool),
            named("word", DType::I32),
            named("maybe", DType::U8),
            named("big", DType::I64),
        ];
        let read = read(&table(compression, false), &fields).unwrap();
        let values = |name: &str| read.fields[name].to_f64_vec();
        assert_eq!((read.rows, read.fields["x"].shape()), (6, &[6, 2, 1][..]));
        assert_eq!(values("x")[..4], [0.5, 0.5, 1.5, 1.5]);
        assert_eq!(values("c"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(values("d")[5], 2.5);
        assert_eq!(values("e"), [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(values("word"), [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(read.tables["word"], ["fig", "pear"]);
        assert_eq!(values("maybe"), values("c"));
        assert_eq!(values("big")[..3], [f64::from(u32::MAX), 0.0, 1.0]);
    }
}

/// A file of one column and one row.
fn column<T: DataType>(declared: &str, value: T::T) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message t {{ {declared} }}")).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    let levels = |level: &'static [i16]| declared.starts_with("repeated").then_some(level);
    column.typed::<T>().write_batch(&[value], levels(&[1]), levels(&[0])).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn types_that_are_no_fields() {
    let fault = |bytes: Vec<u8>| read(&bytes, &[named("a", DType::F32)]).unwrap_err();
    let time = fault(column::<Int96Type>("required int96 a;", Int96::new()));
    assert_eq!(time.code, "E0643", "{}", time.message);
    assert!(time.message.contains("INT96") && time.message.contains("column `a`"), "{}", time.message);
    for bytes in [
        column::<Int32Type>("required int32 a (DECIMAL(9, 2));", 5),
        column::<FloatType>("repeated float a;", 0.5),
    ] {
        let fault = fault(bytes);
        assert_eq!(fault.code, "E0643", "{}", fault.message);
    }
}

#[test]
fn refusals() {
    let bytes = table(Compression::SNAPPY, true);
    let known = CsvField { table: Some(vec!["pear".into()]), ..named("word", DType::I32) };
    let cases = [
        (named("maybe", DType::I32), "E0622", "row 1, column `maybe`"),
        (named("wrod", DType::I32), "E0624", "no column `wrod`"),
        (named("word", DType::F32), "E0623", "words"),
        (known, "E0636", "row 1"),
        (named("a", DType::I32), "E0611", "0.5"),
        (CsvField { row_shape: Some(vec![3]), ..named("a", DType::F32) }, "E0610", "[3]"),
    ];
    for (field, code, part) in cases {
        let error = read(&bytes, &[field]).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(part) && error.message.contains("t.parquet"), "{}", error.message);
    }
    assert_eq!(read(b"PAR1", &[named("a", DType::F32)]).unwrap_err().code, "E0644");
    let folder = tempfile::tempdir().unwrap();
    let limited = |bytes_of_limit| {
        let limits = Limits { expanded_bytes: bytes_of_limit, ..Limits::default() };
        read_at(&folder.path().join("t.parquet"), &bytes, &[named("a", DType::F32)], &limits)
    };
    assert!(limited(48).is_ok());
    assert_eq!(limited(47).unwrap_err().code, "E0602");
}

#[test]
fn hostile_files() {
    // What the decoder asserts is caught; its stories need not be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let fields = [named("a", DType::F32), named("word", DType::I32), named("maybe", DType::I64)];
    let limits = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    let (mut well, mut refused) = (0, 0);
    for (which, compression) in [Compression::UNCOMPRESSED, Compression::SNAPPY].into_iter().enumerate() {
        let seed = table(compression, false);
        for number in 0..600 {
            let stream = Stream::new(number, "parquet", which as u64);
            let mut bytes = seed.clone();
            for edit in 0..=u64::from(stream.words(0)[0] % 3) {
                let [kind, place, value, _] = stream.words(edit + 1);
                let at = place as usize % bytes.len().max(1);
                match kind % 8 {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), value as u8),
                    _ if at < bytes.len() => bytes[at] = if value % 3 == 0 { 0xff } else { value as u8 },
                    _ => {}
                }
            }
            match read_at(&path, &bytes, &fields, &limits) {
                Ok(read) => {
                    well += 1;
                    assert!(read.rows <= 1 << 17);
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.code.starts_with("E06"), "{error:?}");
                }
            }
        }
    }
    assert!(well > 50 && refused > 300, "{well} read, {refused} refused");
}
