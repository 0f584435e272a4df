//! A folder whose pictures are decoded batch by batch gives what it gives in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use data::{
    Augment, Augmented, ImageField, ImageOrigin, Images, Loader, Order, Overlay, RowSource, Rows, Transform,
    in_order,
};
use image::{ImageFormat, Rgb, RgbImage};
use std::{fs, io::Cursor, path::Path, sync::Arc};
use tensor::{DType, Limits, Tensor};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..23u32 {
        let mut picture = RgbImage::new(8 + number % 5, 6 + number % 3);
        picture.enumerate_pixels_mut().for_each(|(x, y, pixel)| {
            *pixel = Rgb([(x * 9 + number) as u8, (y * 11) as u8, (number * 10) as u8]);
        });
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        let class = folder.path().join(["cat", "dog", "emu"][number as usize % 3]);
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join(format!("{number:02}.png")), bytes).unwrap();
    }
    folder
}

fn open(path: &Path, held_bytes: u64) -> Box<dyn RowSource> {
    let field = |name: &str, origin, dtype| ImageField { name: name.into(), origin, dtype, steps: vec![] };
    let images = Images {
        fields: vec![
            field("label", ImageOrigin::Folder, DType::I32),
            field("image", ImageOrigin::Picture { height: 6, width: 6, crop: true }, DType::F32),
        ],
        table: None,
    };
    images.open(path, &Limits { held_bytes, ..Limits::default() }).unwrap()
}

#[test]
fn rows_are_those_of_memory() {
    let folder = folder();
    let bytes = 23 * (4 + 3 * 36 * 4);
    let (held, streamed) = (open(folder.path(), bytes), open(folder.path(), bytes - 1));
    assert!(held.is_held() && !streamed.is_held());
    assert_eq!((streamed.rows(), streamed.fields()), (held.rows(), held.fields()));
    assert_eq!(streamed.tables(), held.tables());
    let gather = |source: &dyn RowSource, wanted: &[usize], rows: &[usize]| {
        let mut batch = Vec::new();
        source.gather(wanted, rows, None, &mut batch).unwrap();
        batch
    };
    for rows in [&[22, 3, 3, 0, 17, 9, 8, 7, 1][..], &[5], &[]] {
        for wanted in [&[0, 1][..], &[1], &[0]] {
            assert_eq!(gather(streamed.as_ref(), wanted, rows), gather(held.as_ref(), wanted, rows));
        }
    }
}

#[test]
fn a_broken_picture_is_told_with_its_name() {
    let folder = folder();
    let streamed = open(folder.path(), 0);
    fs::write(folder.path().join("dog/07.png"), b"no picture").unwrap();
    let rows = Rows::of(Arc::new(Order::new(0, "split", 0, streamed.rows())), 0..streamed.rows());
    let fault = Loader::new(streamed.as_ref(), vec![1]).load(in_order(&rows, 4), |batches| {
        loop {
            match batches.next_batch() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the fault was lost"),
                Err(fault) => break fault,
            }
        }
    });
    assert_eq!(fault.code, "E0642");
    assert!(fault.message.contains("07.png"), "{}", fault.message);
}

#[test]
fn what_a_resumed_run_knows_a_folder_by() {
    let folder = folder();
    let hash = |folder: &Path| open(folder, 0).content_hash();
    let before = hash(folder.path());
    assert_eq!(before, hash(folder.path()));
    fs::rename(folder.path().join("dog/07.png"), folder.path().join("dog/77.png")).unwrap();
    assert_ne!(before, hash(folder.path()));
}

#[test]
fn further_fields_and_augmented_ones() {
    let folder = folder();
    let mut over = Overlay::new(open(folder.path(), 0));
    let weights: Vec<f32> = (0..23).map(|row| row as f32).collect();
    over.add("weight", Tensor::from_vec([23], weights).unwrap(), "`w.npy`").unwrap();
    over.add_constant("scale", Tensor::from_vec([2], [0.5f32, 2.0]).unwrap());
    let short = over.add("other", Tensor::zeros(DType::F32, [22]).unwrap(), "`o.npy`").unwrap_err();
    assert_eq!(short.code, "E0632");
    assert!(over.has("image") && over.has("scale") && !over.has("other"));
    let crop = Augment {
        field: "image".into(),
        transforms: vec![Transform::RandomCrop { height: 4, width: 4, padding: 0 }],
    };
    let source = Augmented::new(over.into_source(), &[crop], 3).unwrap();
    let names: Vec<String> = source.fields().into_iter().map(|field| field.name).collect();
    assert_eq!(names, ["label", "image", "weight", "scale"]);
    // Twice, with the memory of the first time.
    let mut batch = Vec::new();
    for rows in [[4, 2], [1, 22]] {
        source.gather(&[3, 1, 2], &rows, Some(1), &mut batch).unwrap();
        assert_eq!(batch[0].to_f64_vec(), [0.5, 2.0, 0.5, 2.0]);
        assert_eq!(batch[1].shape(), [2, 3, 4, 4]);
        assert_eq!(batch[2].to_f64_vec(), rows.map(|row| row as f64));
    }
}
