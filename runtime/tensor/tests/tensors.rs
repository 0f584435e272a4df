//! Tensors as other crates use them.

use tensor::{DType, Tensor, element_count};

#[test]
fn memory_is_aligned_and_exact() {
    for count in [0, 1, 15, 16, 17, 1000] {
        let tensor = Tensor::zeros(DType::F32, [count]).unwrap();
        assert_eq!(tensor.bytes().len(), 4 * count);
        assert_eq!(tensor.bytes().as_ptr() as usize % 64, 0);
        assert_eq!(tensor.len(), count);
    }
}

#[test]
fn views_exist_for_the_own_type_only() {
    let mut tensor = Tensor::from_vec([2], [1.5f32, 2.5]).unwrap();
    assert!(tensor.as_f64().is_none() && tensor.as_i32().is_none() && tensor.as_half_bits().is_none());
    tensor.as_mut_slice::<f32>().unwrap()[1] = 9.0;
    assert_eq!(tensor.to_f64_vec(), [1.5, 9.0]);
    let half = tensor.cast(DType::BF16).unwrap();
    assert_eq!(half.as_half_bits().unwrap(), [0x3fc0, 0x4110]);
    assert_eq!(half.to_f64_vec(), [1.5, 9.0]);
}

#[test]
fn counts_that_do_not_fit_are_errors() {
    assert_eq!(Tensor::from_vec([2, 2], [1.0f32]).unwrap_err().code, "E0610");
    assert_eq!(Tensor::from_bools([2], &[true]).unwrap_err().code, "E0610");
    assert_eq!(Tensor::from_bytes(DType::F32, [1], &[0; 3]).unwrap_err().code, "E0605");
    assert_eq!(Tensor::zeros(DType::F32, [usize::MAX / 8]).unwrap_err().code, "E0608");
    assert_eq!(Tensor::zeros(DType::F64, [1 << 40, 1 << 40]).unwrap_err().code, "E0608");
    assert_eq!(element_count(&[usize::MAX, 2, 0]), None);
    assert_eq!(element_count(&[5, 0]), Some(0));
    assert_eq!(element_count(&[]), Some(1));
}

#[test]
fn reshape_keeps_the_order() {
    let tensor = Tensor::from_vec([4], [1i32, 2, 3, 4]).unwrap().reshape([2, 2]).unwrap();
    assert_eq!((tensor.shape(), tensor.as_i32().unwrap()), (&[2, 2][..], &[1, 2, 3, 4][..]));
    let error = tensor.reshape([3]).unwrap_err();
    assert_eq!(error.code, "E0610");
    assert!(error.message.contains("[2, 2]") && error.message.contains("[3]"), "{}", error.message);
}

#[test]
fn rows_by_range_and_by_number() {
    let tensor = Tensor::from_vec([4, 2], (0..8i32).collect::<Vec<_>>()).unwrap();
    assert_eq!(tensor.rows(1..3).as_i32().unwrap(), [2, 3, 4, 5]);
    let gathered = tensor.gather_rows(&[3, 0, 3]);
    assert_eq!((gathered.shape(), gathered.as_i32().unwrap()), (&[3, 2][..], &[6, 7, 0, 1, 6, 7][..]));
    assert_eq!(tensor.gather_rows(&[]).shape(), [0, 2]);
    assert_eq!(Tensor::zeros(DType::F32, [3, 0]).unwrap().gather_rows(&[2, 1]).shape(), [2, 0]);
}

#[test]
fn dtype_names_round_trip() {
    for dtype in DType::ALL {
        assert_eq!(DType::parse(dtype.name()), Some(dtype));
    }
    assert_eq!(DType::parse("float"), None);
}

#[test]
fn equality_is_bit_for_bit() {
    let nan = Tensor::from_vec([1], [f32::NAN]).unwrap();
    assert_eq!(nan, nan.clone());
    assert_ne!(Tensor::from_vec([1], [0.0f32]).unwrap(), Tensor::from_vec([1], [-0.0f32]).unwrap());
    assert_ne!(Tensor::from_vec([1], [0i32]).unwrap(), Tensor::from_vec([1, 1], [0i32]).unwrap());
}
