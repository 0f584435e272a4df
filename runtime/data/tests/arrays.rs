//! Fields from npz, npy and safetensors, and what a data set remembers of itself.

use data::{ArrayField, Dataset, read_npy, read_npz, read_safetensors, select};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use tensor::{
    DType, Limits, Tensor, npy,
    npz::{self, Compression},
    safetensors::Weights,
};

fn arrays() -> BTreeMap<String, Tensor> {
    let frames: Vec<f64> = (0..12).map(f64::from).collect();
    let arrays = [
        ("frame", Tensor::from_vec([3, 4], frames)),
        ("hit", Tensor::from_vec([3], [0i64, 1, 2])),
        ("short", Tensor::from_vec([2], [0i64, 1])),
        ("half", Tensor::from_vec([3], [0.5f32; 3])),
        ("scalar", Tensor::from_vec([], [1.0f32])),
        ("none", Tensor::zeros(DType::F32, [0, 2])),
    ];
    arrays.into_iter().map(|(name, array)| (name.to_string(), array.expect("small arrays"))).collect()
}

fn field(name: &str, entry: &str, dtype: DType, row_shape: Option<&[usize]>) -> ArrayField {
    ArrayField {
        name: name.into(),
        entry: entry.into(),
        dtype,
        row_shape: row_shape.map(<[usize]>::to_vec),
        steps: Vec::new(),
    }
}

#[test]
fn fields_take_the_wanted_dtype_and_shape() {
    let folder = tempfile::tempdir().unwrap();
    let (npz_path, weights_path) = (folder.path().join("a.npz"), folder.path().join("a.safetensors"));
    npz::write(&npz_path, &arrays(), Compression::Deflate).unwrap();
    Weights { tensors: arrays(), ..Weights::default() }.write(&weights_path).unwrap();
    let fields = [
        field("image", "frame", DType::F32, Some(&[2, 2])),
        field("label", "hit", DType::I32, None),
        field("target", "hit", DType::F32, Some(&[1])),
    ];
    let from_npz = read_npz(&npz_path, &fields, &Limits::default()).unwrap();
    assert_eq!(from_npz, read_safetensors(&weights_path, &fields, &Limits::default()).unwrap());
    assert_eq!(from_npz.rows, 3);
    assert_eq!(from_npz.fields["image"].shape(), [3, 2, 2]);
    assert_eq!(from_npz.fields["label"].as_i32().unwrap(), [0, 1, 2]);
    assert_eq!(from_npz.fields["target"].shape(), [3, 1]);
    assert_eq!(from_npz.fields.keys().collect::<Vec<_>>(), ["image", "label", "target"]);

    let npy_path = folder.path().join("frame.npy");
    npy::write(&npy_path, &arrays()["frame"]).unwrap();
    let from_npy = read_npy(&[(&npy_path, fields[0].clone())], &Limits::default()).unwrap();
    assert_eq!(from_npy.fields["image"], from_npz.fields["image"]);
}

#[test]
fn refusals() {
    let cases = [
        (vec![field("x", "frames", DType::F32, None)], "E0631", "no array `frames`"),
        (vec![field("x", "half", DType::I32, None)], "E0611", "0.5 at [0]"),
        (vec![field("x", "frame", DType::F32, Some(&[3]))], "E0610", "[4], which cannot become [3]"),
        (
            vec![field("x", "frame", DType::F32, None), field("y", "short", DType::I32, None)],
            "E0632",
            "`y` has 2",
        ),
        (vec![field("x", "scalar", DType::F32, Some(&[1]))], "E0632", "single number"),
        (vec![field("x", "none", DType::F32, None)], "E0620", "no rows"),
        (vec![field("x", "frame", DType::F32, None), field("x", "hit", DType::I64, None)], "E0631", "twice"),
        (vec![], "E0631", "no field"),
    ];
    for (fields, code, part) in cases {
        let error = select("`a.npz`", arrays(), &fields).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(part) && error.message.contains("a.npz"), "{}", error.message);
    }
    let near = select("`a.npz`", arrays(), &[field("x", "frmae", DType::F32, None)]).unwrap_err();
    assert_eq!(near.help.as_deref(), Some("did you mean `frame`?"));
}

#[test]
fn the_content_hash_sees_every_part() {
    let make = |name: &str, values: [i32; 2], shape: &[usize], word: &str| {
        let tensor = Tensor::from_vec(shape, values).unwrap();
        let mut dataset = Dataset::new("t", IndexMap::from([(name.to_string(), tensor)])).unwrap();
        dataset.tables.insert("w".into(), vec![word.into()]);
        dataset.content_hash()
    };
    let base = make("x", [1, 2], &[2], "a");
    assert_eq!(base, make("x", [1, 2], &[2], "a"));
    let others = [
        make("y", [1, 2], &[2], "a"),
        make("x", [1, 3], &[2], "a"),
        make("x", [1, 2], &[2, 1], "a"),
        make("x", [1, 2], &[2], "b"),
    ];
    assert!(!others.contains(&base));
}
