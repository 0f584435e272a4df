//! Sources other than tables and arrays: what they give, what they refuse, and bytes made to break them.
#![allow(clippy::unwrap_used, reason = "a test")]

use data::{
    ArrayField, ImageField, ImageOrigin, Images, Step, Text, TextField, decode_image, parse_idx, read_idx,
};
use image::{ImageFormat, Rgb, RgbImage};
use std::{fs, io::Cursor, path::Path};
use tensor::{DType, Limits, Tensor, philox::Stream};

fn idx(code: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Tensor, base::Diagnostic> {
    parse_idx("`t.idx`", bytes, &Limits::default())
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 20) as u8, (y * 20) as u8, 255]))
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn text(window: usize) -> Text {
    let field = |name: &str, next| TextField { name: name.into(), next, dtype: DType::I32 };
    Text { window, fields: vec![field("x", false), field("target", true)], table: None }
}

/// Changes a few bytes, cuts or inserts, differently for every number.
fn mutated(seed: &[u8], number: u64) -> Vec<u8> {
    let stream = Stream::new(number, "mutation", 0);
    let mut bytes = seed.to_vec();
    for edit in 0..=u64::from(stream.words(0)[0] % 4) {
        let [kind, place, value, _] = stream.words(edit + 1);
        // Headers come first and break most.
        let within = if value % 2 == 0 { bytes.len().min(48) } else { bytes.len() };
        let at = place as usize % (within + 1);
        match kind % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, value as u8),
            2 if at < bytes.len() => bytes[at] ^= (value >> 8) as u8,
            _ if at < bytes.len() => bytes[at] = if value % 3 == 0 { 0xff } else { 0 },
            _ => {}
        }
    }
    bytes
}

#[test]
fn idx_of_every_dtype() {
    let cases = [
        (0x08, &[1u8, 255][..], DType::U8, [1.0, 255.0]),
        (0x09, &[1, 255], DType::I8, [1.0, -1.0]),
        (0x0b, &[1, 0, 255, 254], DType::I16, [256.0, -2.0]),
        (0x0c, &[0, 0, 1, 0, 255, 255, 255, 255], DType::I32, [256.0, -1.0]),
        (0x0d, &[0x3f, 0x80, 0, 0, 0xbf, 0, 0, 0], DType::F32, [1.0, -0.5]),
        (0x0e, &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], DType::F64, [1.0, 0.0]),
    ];
    for (code, data, dtype, values) in cases {
        let read = parse(&idx(code, &[2, 1], data)).unwrap();
        assert_eq!((read.dtype(), read.shape(), read.to_f64_vec()), (dtype, &[2, 1][..], values.to_vec()));
    }
}

#[test]
fn idx_files_become_fields() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    fs::write(&images, idx(8, &[3, 2, 2], &[0, 51, 102, 153, 204, 255, 0, 0, 0, 0, 0, 255])).unwrap();
    fs::write(&labels, idx(8, &[3], &[7, 0, 9])).unwrap();
    let field = |name: &str, dtype, row_shape, steps| ArrayField {
        name: name.into(),
        entry: name.into(),
        dtype,
        row_shape,
        steps,
    };
    let image = field("image", DType::F32, Some(vec![1, 2, 2]), vec![Step::Divide(255.0)]);
    let label = field("label", DType::I32, Some(vec![]), vec![]);
    let files = [(images.as_path(), image), (labels.as_path(), label)];
    let read = read_idx(&files, &Limits::default()).unwrap();
    assert_eq!(read.fields["image"].shape(), [3, 1, 2, 2]);
    assert_eq!(read.fields["image"].as_f32().unwrap()[..4], [0.0, 0.2, 0.4, 0.6]);
    assert_eq!(read.fields["label"].as_i32().unwrap(), [7, 0, 9]);

    fs::write(&labels, idx(8, &[2], &[7, 0])).unwrap();
    assert_eq!(read_idx(&files, &Limits::default()).unwrap_err().code, "E0632");
}

#[test]
fn idx_refusals() {
    let cases: [(Vec<u8>, &str); 8] = [
        (vec![0, 0, 8], "3 bytes"),
        (vec![1, 0, 8, 1, 0, 0, 0, 0], "two zeros"),
        (vec![0, 0, 7, 1, 0, 0, 0, 0], "0x07"),
        (vec![0x1f, 0x8b, 8, 0], "compressed"),
        (idx(8, &[1; 9], &[1]), "9 axes"),
        (vec![0, 0, 8, 2, 0, 0, 0, 1, 0], "ends within"),
        (idx(8, &[3], &[1, 2]), "do not fill 2 bytes"),
        (idx(14, &[u32::MAX; 8], &[1, 2]), "do not fill"),
    ];
    for (bytes, part) in cases {
        let error = parse(&bytes).unwrap_err();
        assert_eq!(error.code, "E0640", "{}", error.message);
        assert!(error.message.contains(part) && error.message.contains("t.idx"), "{}", error.message);
    }
    let small = Limits { expanded_bytes: 3, ..Limits::default() };
    assert!(parse_idx("`t`", &idx(8, &[3], &[1, 2, 3]), &small).is_ok());
    assert_eq!(parse_idx("`t`", &idx(8, &[4], &[1, 2, 3, 4]), &small).unwrap_err().code, "E0602");
}

#[test]
fn text_becomes_windows() {
    let read = text(3).read_bytes("t.txt", "banana nab".as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read.tables["x"], [" ", "a", "b", "n"]);
    assert_eq!(read.tables["target"], read.tables["x"]);
    assert_eq!(read.fields["x"].shape(), [3, 3]);
    assert_eq!(read.fields["x"].as_i32().unwrap(), [2, 1, 3, 1, 3, 1, 0, 3, 1]);
    assert_eq!(read.fields["target"].as_i32().unwrap(), [1, 3, 1, 3, 1, 0, 3, 1, 2]);

    let later = Text { table: Some(read.tables["x"].clone()), ..text(2) };
    let again = later.read_bytes("u.txt", "\u{feff}nan".as_bytes(), &Limits::default()).unwrap();
    assert_eq!(again.fields["x"].as_i32().unwrap(), [3, 1]);
    let error = later.read_bytes("u.txt", "na\nz".as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.code, "E0636");
    assert!(error.message.contains("line 1"), "{}", error.message);
}

#[test]
fn text_refusals() {
    let read = |window, bytes: &[u8]| text(window).read_bytes("t.txt", bytes, &Limits::default());
    assert!(read(3, b"abcd").is_ok());
    assert_eq!(read(3, b"abc").unwrap_err().code, "E0620");
    assert_eq!(read(3, b"").unwrap_err().code, "E0620");
    assert_eq!(read(0, b"abc").unwrap_err().code, "E0620");
    assert_eq!(read(usize::MAX, b"abc").unwrap_err().code, "E0620");
    let broken = read(1, b"ab\ncd\xff").unwrap_err();
    assert_eq!(broken.code, "E0628");
    assert!(broken.message.contains("line 2"), "{}", broken.message);
    let many: String = (0..300).filter_map(|code| char::from_u32(0x4e00 + code)).collect();
    let narrow = |dtype| Text { fields: vec![TextField { dtype, ..text(1).fields[0].clone() }], ..text(1) };
    assert!(narrow(DType::I16).read_bytes("t", many.as_bytes(), &Limits::default()).is_ok());
    let error = narrow(DType::U8).read_bytes("t", many.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.code, "E0626");
    let small = Limits { expanded_bytes: 23, ..Limits::default() };
    assert_eq!(text(3).read_bytes("t", b"abcd", &small).unwrap_err().code, "E0602");
}

fn pictures(origin: ImageOrigin) -> Images {
    let field = |name: &str, origin, dtype| ImageField { name: name.into(), origin, dtype, steps: vec![] };
    let fields = vec![field("image", origin, DType::F32), field("label", ImageOrigin::Folder, DType::I32)];
    Images { fields, table: None }
}

const SMALL: ImageOrigin = ImageOrigin::Picture { height: 2, width: 3, crop: false };

/// A path below the folder, and what is in the file.
type PictureFile<'a> = (&'a str, Vec<u8>);

fn folder_of(files: &[PictureFile]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn pictures_become_channels_and_labels() {
    let png = |width, height| encoded(&picture(width, height), ImageFormat::Png);
    let folder = folder_of(&[
        ("dog/b.png", png(3, 2)),
        ("dog/a.PNG", png(6, 4)),
        ("cat/z.jpg", encoded(&RgbImage::from_pixel(9, 9, Rgb([128; 3])), ImageFormat::Jpeg)),
        (".hidden", vec![]),
    ]);
    let read = pictures(SMALL).read(folder.path(), &Limits::default()).unwrap();
    assert_eq!(read.fields["image"].shape(), [3, 3, 2, 3]);
    assert_eq!(read.fields["label"].as_i32().unwrap(), [0, 1, 1]);
    assert_eq!(read.tables["label"], ["cat", "dog"]);
    let values = read.fields["image"].as_f32().unwrap();
    assert!(values[..18].iter().all(|value| (value - 128.0 / 255.0).abs() < 0.02), "{values:?}");
    // The last is in the wanted size already: red grows along the row, green down the column.
    let level = |byte: u8| (f64::from(byte) / 255.0) as f32;
    let expected = [0, 20, 40, 0, 20, 40, 0, 0, 0, 20, 20, 20].map(level);
    assert_eq!(values[36..48], expected);
    assert_eq!(values[48..], [1.0; 6]);

    let known = Images { table: Some(vec!["dog".into(), "cat".into()]), ..pictures(SMALL) };
    let read = known.read(folder.path(), &Limits::default()).unwrap();
    assert_eq!(read.fields["label"].as_i32().unwrap(), [1, 0, 0]);
    let unknown = Images { table: Some(vec!["dog".into(), "cow".into()]), ..pictures(SMALL) };
    assert_eq!(unknown.read(folder.path(), &Limits::default()).unwrap_err().code, "E0636");
}

#[test]
fn a_crop_keeps_the_middle() {
    let mut wide = RgbImage::from_pixel(8, 2, Rgb([0; 3]));
    (3..5).for_each(|x| (0..2).for_each(|y| wide.put_pixel(x, y, Rgb([255; 3]))));
    let tall = image::imageops::rotate90(&wide);
    let folder = folder_of(&[
        ("a/1.png", encoded(&wide, ImageFormat::Png)),
        ("a/2.png", encoded(&tall, ImageFormat::Png)),
    ]);
    let crop = ImageOrigin::Picture { height: 2, width: 2, crop: true };
    let read = pictures(crop).read(folder.path(), &Limits::default()).unwrap();
    assert_eq!(read.fields["image"].as_f32().unwrap(), [1.0; 24]);
}

#[test]
fn picture_refusals() {
    let png = encoded(&picture(3, 2), ImageFormat::Png);
    let cases: [(&[PictureFile], &str, &str); 6] = [
        (&[("loose.png", png.clone())], "E0641", "loose.png"),
        (&[("a/notes.txt", vec![1])], "E0641", "notes.txt"),
        (&[("a/b/c.png", png.clone())], "E0641", "folder in a folder"),
        (&[("a/empty.png", vec![])], "E0642", "empty.png"),
        (&[("a/x.png", png[..40].to_vec())], "E0642", "x.png"),
        (&[], "E0620", "no pictures"),
    ];
    for (files, code, part) in cases {
        let error = pictures(SMALL).read(folder_of(files).path(), &Limits::default()).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(part), "{}", error.message);
    }
    let folder = folder_of(&[("a/1.png", png)]);
    let limits = |bytes| Limits { expanded_bytes: bytes, ..Limits::default() };
    assert!(pictures(SMALL).read(folder.path(), &limits(76)).is_ok());
    assert_eq!(pictures(SMALL).read(folder.path(), &limits(75)).unwrap_err().code, "E0602");
    // A header that promises 2^31 by 2^31 pixels is refused before anything is allocated.
    let mut huge = encoded(&picture(3, 2), ImageFormat::Png);
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    assert!(decode_image("`huge`", &huge, &Limits::default()).is_err());
}

#[test]
fn hostile_bytes() {
    let idx_seed = idx(8, &[3, 2, 2], &[0; 12]);
    let png = encoded(&picture(12, 9), ImageFormat::Png);
    let jpeg = encoded(&picture(12, 9), ImageFormat::Jpeg);
    let mut refused = [0; 4];
    for number in 0..1500 {
        match parse(&mutated(&idx_seed, number)) {
            Ok(tensor) => assert!(tensor.bytes().len() <= idx_seed.len() + 4),
            Err(error) => {
                refused[0] += 1;
                assert_eq!(error.code, "E0640");
            }
        }
        for (place, seed) in [(1, &png), (2, &jpeg)] {
            if let Err(error) = decode_image("`t`", &mutated(seed, number), &Limits::default()) {
                refused[place] += 1;
                assert!(["E0642", "E0602"].contains(&error.code), "{error:?}");
            }
        }
        let bytes = mutated("na\u{ef}ve \u{4e00}\n text".as_bytes(), number);
        match text(2).read_bytes("t", &bytes, &Limits::default()) {
            Ok(read) => assert!(read.fields["x"].len() <= bytes.len()),
            Err(error) => {
                refused[3] += 1;
                assert!(["E0628", "E0620"].contains(&error.code), "{error:?}");
            }
        }
    }
    assert!(refused.iter().all(|count| *count > 100), "{refused:?}");
    for length in 0..png.len() - 12 {
        assert!(decode_image("`t`", &png[..length], &Limits::default()).is_err(), "{length} bytes of a png");
    }
    for length in 0..jpeg.len() {
        let _ = decode_image("`t`", &jpeg[..length], &Limits::default()); // a decoder may fill in a missing end
    }
}
