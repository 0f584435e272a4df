//! Tables: what is read, what is refused and where, and files made to break the reader.

use data::{Column, Columns, Csv, CsvField, Dataset};
use std::path::Path;
use tensor::{DType, philox::Stream};

fn field(name: &str, columns: Columns, dtype: DType) -> CsvField {
    CsvField::new(name, columns, dtype)
}

fn one(index: usize) -> Columns {
    Columns::One(Column::Index(index))
}

fn named(name: &str) -> Columns {
    Columns::One(Column::Name(name.into()))
}

fn names(from: &str, to: &str) -> Columns {
    Columns::Names(from.into(), to.into())
}

fn read(text: &str, fields: Vec<CsvField>) -> Result<Dataset, base::Diagnostic> {
    Csv::new(fields).read_from("t.csv", text.as_bytes())
}

fn ints(dataset: &Dataset, name: &str) -> Vec<i64> {
    dataset.fields[name].to_i64_vec()
}

fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/data").join(name)
}

#[test]
fn digits_become_images() {
    let image =
        CsvField { row_shape: Some(vec![8, 8]), ..field("image", Columns::Indices(0..64), DType::F32) };
    let digits =
        Csv::new(vec![image, field("label", one(64), DType::I32)]).read(&shipped("digits.csv")).unwrap();
    assert_eq!(digits.rows, 1797);
    assert_eq!(digits.fields["image"].shape(), [1797, 8, 8]);
    assert_eq!(digits.fields["image"].as_f32().unwrap()[..8], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
    assert_eq!(digits.fields["label"].shape(), [1797]);
    assert_eq!(digits.fields["label"].as_i32().unwrap()[..5], [0, 1, 2, 3, 4]);
}

#[test]
fn named_columns_of_shipped_tables() {
    let fields = vec![
        field("x", names("mean_radius", "worst_fractal_dimension"), DType::F32),
        field("target", Columns::Listed(vec![Column::Name("label".into())]), DType::F32),
    ];
    let cancer = Csv::new(fields).read(&shipped("breast_cancer.csv")).unwrap();
    assert_eq!(cancer.fields["x"].shape(), [569, 30]);
    assert_eq!(cancer.fields["target"].shape(), [569, 1]);
    assert_eq!(cancer.fields["target"].to_f64_vec().iter().sum::<f64>(), 357.0);

    // By number, under a header that has to be recognised.
    let iris = Csv::new(vec![field("x", Columns::Indices(0..4), DType::F64), field("y", one(4), DType::I64)]);
    let iris = iris.read(&shipped("iris.csv")).unwrap();
    assert_eq!(iris.rows, 150);
    assert_eq!(iris.fields["x"].as_f64().unwrap()[..4], [5.1, 3.5, 1.4, 0.2]);
}

#[test]
fn every_dtype() {
    for dtype in DType::ALL {
        let read = read("1\n0\n1\n", vec![field("x", one(0), dtype)]).unwrap();
        assert_eq!(read.fields["x"].dtype(), dtype);
        assert_eq!(read.fields["x"].to_f64_vec(), [1.0, 0.0, 1.0], "{dtype}");
    }
}

#[test]
fn headers_are_found_or_stated() {
    let x = || vec![field("x", one(0), DType::F32)];
    assert_eq!(read("a,b\n1,2\n", x()).unwrap().rows, 1);
    assert_eq!(read("1,b\n1,2\n", x()).unwrap().rows, 2);
    assert_eq!(read("\u{feff}1,2\r\n3,4", x()).unwrap().fields["x"].to_f64_vec(), [1.0, 3.0]);
    let stated = |header| Csv { header: Some(header), ..Csv::new(x()) };
    assert_eq!(stated(true).read_from("t.csv", &b"1\n2\n3\n"[..]).unwrap().rows, 2);
    assert_eq!(stated(false).read_from("t.csv", &b"1\n2\n3\n"[..]).unwrap().rows, 3);
    let semicolons = Csv { delimiter: b';', ..Csv::new(vec![field("x", named("b"), DType::F32)]) };
    assert_eq!(semicolons.read_from("t.csv", &b"a;b\n1;2\n"[..]).unwrap().fields["x"].to_f64_vec(), [2.0]);
    let quoted = read("\"a\",\"b c\"\n\"1\", 2 \n", vec![field("x", named("b c"), DType::I32)]).unwrap();
    assert_eq!(ints(&quoted, "x"), [2]);
}

#[test]
fn words_become_ids_in_sorted_order() {
    let text = "kind,size\npear,1\napple,2\npear,3\nfig,4\n";
    let fruit = read(text, vec![field("kind", named("kind"), DType::I32)]).unwrap();
    assert_eq!(ints(&fruit, "kind"), [2, 0, 2, 1]);
    assert_eq!(fruit.tables["kind"], ["apple", "fig", "pear"]);

    // The kept table gives the same ids to other rows, and knows no other words.
    let later = |text: &str| {
        read(
            text,
            vec![CsvField {
                table: Some(fruit.tables["kind"].clone()),
                ..field("kind", named("kind"), DType::I32)
            }],
        )
    };
    assert_eq!(ints(&later("kind\npear\nfig\n").unwrap(), "kind"), [2, 1]);
    assert_eq!(later("kind\npear\n").unwrap().tables["kind"], fruit.tables["kind"]);
    let error = later("kind\npear\naple\n").unwrap_err();
    assert_eq!(error.code, "E0636");
    assert!(
        error.message.contains("line 3") && error.help.as_deref() == Some("did you mean `apple`?"),
        "{error:?}"
    );

    // One table for all columns of a field.
    let pairs = read("a,b\nx,y\nz,x\n", vec![field("p", names("a", "b"), DType::U8)]).unwrap();
    assert_eq!((ints(&pairs, "p"), pairs.fields["p"].shape()), (vec![0, 1, 2, 0], &[2, 2][..]));
}

#[test]
fn refusals_name_line_and_column() {
    let f32s = || vec![field("x", named("b"), DType::F32)];
    let i32s = || vec![field("x", named("b"), DType::I32)];
    let cases: Vec<(&str, Vec<CsvField>, &str, &str)> = vec![
        ("", f32s(), "E0620", "`t.csv` is empty"),
        ("a,b\n", f32s(), "E0620", "no rows"),
        ("a,b\n1,2\n3\n", f32s(), "E0621", "line 3: 1 values, where line 1 has 2"),
        ("a,b\n1,2\n3,4,5\n", f32s(), "E0621", "line 3: 3 values"),
        ("a,b\n1,2\n3,\n", f32s(), "E0622", "line 3, column `b`: the value is missing"),
        ("a,b\n1,NA\n", i32s(), "E0622", "line 2, column `b`: `NA`"),
        ("a,b\n1,2\n3,cat\n", f32s(), "E0623", "line 3, column `b`: `cat` is text, where f32"),
        ("a,b\n1,2\n3,cat\n", i32s(), "E0623", "line 3, column `b`: `cat` is text, where i32"),
        (
            "a,b\n1,cat\n3,4\n",
            i32s(),
            "E0623",
            "line 3, column `b`: the number 4 among words (the first word is in line 2)",
        ),
        ("a,b\n1,cat\n3,\n", i32s(), "E0622", "line 3"),
        ("a,b\n1,cat\n", f32s(), "E0623", "line 2"),
        ("a,bb\n1,2\n", f32s(), "E0624", "no column `b`"),
        ("1,2\n1,2\n", f32s(), "E0624", "no column `b`"),
        ("b,b\n1,2\n", f32s(), "E0624", "two columns `b`, 0 and 1"),
        ("a,b\n1,2\n", vec![field("x", one(2), DType::F32)], "E0625", "column 2, but `t.csv` has 2 columns"),
        ("a,b\n1,2\n", vec![field("x", Columns::Indices(0..3), DType::F32)], "E0625", "column 2"),
        ("a,b\n1,2\n", vec![field("x", Columns::Indices(0..usize::MAX), DType::F32)], "E0625", "2 columns"),
        ("a,b\n1,2.5\n", i32s(), "E0626", "line 2, column `b`: 2.5 has a fraction, where i32 is expected"),
        ("1,2.5\n", vec![field("x", one(1), DType::I32)], "E0626", "line 1, column 1: 2.5"),
        ("a,b\n1,3000000000\n", i32s(), "E0626", "out of the range of i32"),
        ("a,b\n1,2\n", vec![field("x", Columns::Indices(1..1), DType::F32)], "E0629", "no column"),
        ("a,b\n1,2\n", vec![field("x", names("b", "a"), DType::F32)], "E0629", "`a` stands before `b`"),
        (
            "a,b\n1,2\n",
            vec![field("x", one(0), DType::F32), field("x", one(1), DType::F32)],
            "E0631",
            "twice",
        ),
        ("a,b\n1,2\n", vec![], "E0631", "no field"),
    ];
    for (text, fields, code, part) in cases {
        let error = read(text, fields).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(part) && error.message.contains("t.csv"), "{}", error.message);
    }
}

#[test]
fn shapes_must_hold_as_many_elements() {
    let wanted = |shape: &[usize]| CsvField {
        row_shape: Some(shape.to_vec()),
        ..field("x", Columns::Indices(0..4), DType::F32)
    };
    assert_eq!(read("1,2,3,4\n", vec![wanted(&[2, 2])]).unwrap().fields["x"].shape(), [1, 2, 2]);
    let error = read("1,2,3,4\n", vec![wanted(&[3])]).unwrap_err();
    assert_eq!(error.code, "E0610");
    assert!(error.message.contains("[4]") && error.message.contains("[3]"), "{}", error.message);
    let single = CsvField { row_shape: Some(vec![1]), ..field("x", one(0), DType::F32) };
    assert_eq!(read("1,2\n3,4\n", vec![single]).unwrap().fields["x"].shape(), [2, 1]);
}

#[test]
fn more_words_than_the_dtype_numbers() {
    let words = |count: usize| -> String {
        "w\n".to_string() + &(0..count).map(|n| format!("v{n}\n")).collect::<String>()
    };
    let x = |dtype| vec![field("x", named("w"), dtype)];
    assert_eq!(read(&words(128), x(DType::I8)).unwrap().tables["x"].len(), 128);
    assert_eq!(read(&words(129), x(DType::I8)).unwrap_err().code, "E0626");
    assert_eq!(read(&words(129), x(DType::U8)).unwrap().rows, 129);
}

#[test]
fn what_helps_is_said() {
    let near = read("a,fraud\n1,2\n", vec![field("x", named("fruad"), DType::F32)]).unwrap_err();
    assert_eq!(near.help.as_deref(), Some("did you mean `fraud`?"));
    assert_eq!(near.notes, ["the columns are a, fraud"]);
    let headless = read("1,2\n3,4\n", vec![field("x", named("b"), DType::F32)]).unwrap_err();
    assert!(headless.notes[0].contains("no header"), "{headless:?}");
    let folder = Csv::new(vec![field("x", one(0), DType::F32)])
        .read(Path::new(env!("CARGO_MANIFEST_DIR")))
        .unwrap_err();
    assert_eq!(folder.code, "E0601");
    let bytes = Csv::new(vec![field("x", one(0), DType::I32)]);
    assert_eq!(bytes.read_from("t.csv", &b"h\nab\n\xff\xfe\n"[..]).unwrap_err().code, "E0628");
    assert_eq!(bytes.read_from("t.csv", &b"h\n1\n\xff\xfe\n"[..]).unwrap_err().code, "E0623");
}

#[test]
fn hostile_tables() {
    let seed = b"a,b,\"c d\"\n1,2.5,x\n-3,1e3,y\n4,0.125,\"z, z\"\n";
    let pieces: [&[u8]; 12] = [
        b"\"",
        b",",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"1e999",
        b"nan",
        b"-",
        b"99999999999999999999",
        b"\xef\xbb\xbf",
        b"\"\"\"",
    ];
    let (mut well, mut refused) = (0, 0);
    for number in 0..2000 {
        let stream = Stream::new(number, "table", 0);
        let mut bytes = seed.to_vec();
        for edit in 0..=u64::from(stream.words(0)[0] % 3) {
            let [kind, place, value, _] = stream.words(edit + 1);
            let at = place as usize % (bytes.len() + 1);
            match kind % 4 {
                0 => drop(bytes.splice(at..at, pieces[value as usize % pieces.len()].iter().copied())),
                1 => bytes.truncate(at),
                2 if at < bytes.len() => bytes[at] = value as u8,
                _ => drop(bytes.drain(at..(at + 1 + value as usize % 6).min(bytes.len()))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let fields = vec![
            field("i", if number % 2 == 0 { one(0) } else { named("a") }, DType::I32),
            field("f", one(1), DType::F32),
            field("w", one(2), DType::U8),
        ];
        match Csv::new(fields).read_from("t.csv", bytes.as_slice()) {
            Ok(dataset) => {
                well += 1;
                assert!(dataset.rows <= bytes.len());
                assert!(dataset.fields["f"].to_f64_vec().iter().all(|value| value.is_finite()));
                assert!(ints(&dataset, "w").iter().all(|id| (*id as usize) < dataset.rows));
            }
            Err(error) => {
                refused += 1;
                assert!(error.code.starts_with("E06") && error.message.contains("t.csv"), "{error:?}");
            }
        }
    }
    assert!(well > 100 && refused > 500, "{well} read, {refused} refused");
}
