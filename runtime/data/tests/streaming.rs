//! A table that stays in its file gives the rows that it gives in memory.

use data::{Column, Columns, Csv, CsvField, RowSource, Step};
use std::{fs, path::Path};
use tensor::{DType, Limits, Tensor, philox::Stream};

fn spec() -> Csv {
    let field = |name: &str, columns, dtype| CsvField::new(name, columns, dtype);
    let named = |name: &str| Column::Name(name.into());
    let mut image = field("image", Columns::Names("a".into(), "d".into()), DType::F32);
    image.row_shape = Some(vec![2, 2]);
    let mut scaled = field("scaled", Columns::One(named("b")), DType::F16);
    scaled.steps = vec![Step::Divide(3.0)];
    Csv::new(vec![
        image,
        field("word", Columns::One(named("word")), DType::I32),
        field("count", Columns::One(named("count")), DType::U8),
        scaled,
    ])
}

/// Lines of very different lengths; words in quotes hold commas and line ends.
fn table(rows: u64, line_end: &str) -> String {
    let draws = Stream::new(3, "table", 0);
    let mut text = ["a", "b", "c", "d", "word", "count"].join(",") + line_end;
    for row in 0..rows {
        let [first, second, third, fourth] = draws.words(row);
        let numbers = [first, second, third].map(|word| (f64::from(word) / 1e6).to_string()).join(",");
        let padding = if fourth % 97 == 0 { " ".repeat(3000) } else { String::new() };
        let word = ["\"a, b\"", "plain", "\"two\nlines\"", "\"say \"\"so\"\"\"", "ä"][fourth as usize % 5];
        text += &format!("{numbers},{row}{padding},{word},{}{line_end}", fourth % 256);
    }
    text
}

fn gather(source: &dyn RowSource, rows: &[usize]) -> Vec<Tensor> {
    // Left over from before, of forms that fit and that do not.
    let mut batch = vec![Tensor::zeros(DType::F32, [3, 2, 2]).expect("a small array"); 2];
    source.gather(&[2, 0, 1, 3], rows, None, &mut batch).expect("rows of the table");
    batch
}

fn limited(held_bytes: u64) -> Csv {
    Csv { limits: Limits { held_bytes, ..Limits::default() }, ..spec() }
}

fn open(path: &Path, held: u64) -> Box<dyn RowSource> {
    limited(held).open(path).expect("a table without faults")
}

#[test]
fn rows_are_those_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (rows, line_end)) in
        [(3000, "\n"), (2500, "\r\n"), (1, "\n"), (1024, "\n"), (3000, "\n"), (2500, "\r\n")]
            .into_iter()
            .enumerate()
    {
        let path = folder.path().join(format!("{number}.csv"));
        let mut text = table(rows, line_end);
        if number >= 4 {
            // No quotation marks; a byte-order mark, empty lines, and lines that end in different ways.
            text = text.replace('"', "").replace("two\nlines", "lines").replace("a, b,", "b,");
            text = format!("\u{feff}{}", text.replace("plain", "plain\u{e4}").replace(",7\n", ",7\r\n\n\r"));
        }
        if number == 1 {
            text.truncate(text.len() - 2); // the last line without its end
        }
        fs::write(&path, &text).unwrap();
        let (held, streamed) = (open(&path, u64::MAX), open(&path, 0));
        assert!(held.is_held() && !streamed.is_held());
        assert_eq!(streamed.rows() as u64, rows);
        assert_eq!(streamed.fields(), held.fields());
        assert_eq!(streamed.tables(), held.tables());
        assert_eq!(streamed.content_hash(), held.content_hash());
        let order = data::Order::new(1, "any", 0, rows as usize);
        let order: Vec<usize> = (0..order.len()).map(|place| order.at(place)).collect();
        for chunk in order.chunks(37) {
            assert_eq!(gather(streamed.as_ref(), chunk), gather(held.as_ref(), chunk));
        }
        let last = rows as usize - 1;
        for some in [vec![last], vec![last, 0, last, last], (0..rows as usize).collect(), vec![]] {
            assert_eq!(gather(streamed.as_ref(), &some), gather(held.as_ref(), &some));
        }
    }
}

#[test]
fn what_is_held_is_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    fs::write(&path, table(2000, "\n")).unwrap();
    // Four f32, an id of a word of four bytes, a u8 and an f16: 23 bytes a row.
    assert!(open(&path, 23 * 2000).is_held());
    assert!(!open(&path, 23 * 2000 - 1).is_held());
}

#[test]
fn faults_are_found_in_the_first_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let good = table(2000, "\n");
    for (fault, code) in
        [("1,2,3,x,plain,5\n", "E0623"), ("1,2,3\n", "E0621"), ("1,2,3,4,plain,256\n", "E0626")]
    {
        fs::write(&path, format!("{good}{fault}")).unwrap();
        let held = limited(u64::MAX).open(&path).map(drop).unwrap_err();
        let streamed = limited(0).open(&path).map(drop).unwrap_err();
        assert_eq!(streamed.code, code);
        assert_eq!(streamed.message, held.message);
    }
}

#[test]
fn a_file_that_changes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    fs::write(&path, table(2000, "\n")).unwrap();
    for change in ["longer", "shorter", "other"] {
        let streamed = open(&path, 0);
        let text = fs::read_to_string(&path).unwrap();
        match change {
            "longer" => fs::write(&path, text + "1,2,3,4,plain,5\n").unwrap(),
            "shorter" => fs::write(&path, &text[..text.len() / 2]).unwrap(),
            _ => {
                fs::write(&path, text.replace("plain", "plaxn")).unwrap();
                let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
                fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
            }
        }
        let fault = streamed.gather(&[0], &[5, 1900], None, &mut Vec::new()).unwrap_err();
        assert_eq!(fault.code, "E0646", "{change}");
        fs::write(&path, table(2000, "\n")).unwrap();
    }
}

/// Neither its length nor its date tells.
#[test]
fn a_file_that_lost_rows_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    fs::write(&path, table(2000, "\n")).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let streamed = open(&path, 0);
    let text = fs::read_to_string(&path).unwrap();
    let end = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    fs::write(&path, format!("{}{}", &text[..end], "\n".repeat(text.len() - end))).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let fault = streamed.gather(&[0], &[1990], None, &mut Vec::new()).unwrap_err();
    assert_eq!(fault.code, "E0646", "{}", fault.message);
}

#[test]
fn rows_that_will_not_fit_are_not_held_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    // Six megabytes of lines that become more than is to be held, though the first five alone would not.
    fs::write(&path, format!("a,b,c,d,word,count\n{}", "1,2,3,4,plain,5\n".repeat(400_000))).unwrap();
    let streamed = open(&path, 23 * 310_000);
    assert!(!streamed.is_held());
    assert_eq!(streamed.content_hash(), open(&path, u64::MAX).content_hash());
    assert!(open(&path, 23 * 400_000).is_held());
}
