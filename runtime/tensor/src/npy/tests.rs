use super::*;

fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[version, 0]);
    if version == 1 {
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    } else {
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    }
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn header(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
}

fn read_back(bytes: &[u8]) -> Result<Tensor, Diagnostic> {
    parse(bytes, "a.npy", &Limits::default())
}

#[test]
fn what_is_written_reads_back() {
    for dtype in DType::ALL.into_iter().filter(|dtype| *dtype != DType::BF16) {
        for shape in [vec![], vec![0], vec![3], vec![2, 3], vec![1, 2, 3, 1]] {
            let count = element_count(&shape).unwrap();
            let values: Vec<i64> = (0..count as i64).map(|index| index % 2).collect();
            let tensor = Tensor::from_vec(shape, &values).unwrap().cast(dtype).unwrap();
            let bytes = to_bytes(&tensor).unwrap();
            assert_eq!((bytes.len() - tensor.bytes().len()) % ALIGNMENT, 0);
            assert_eq!(bytes[6], 1);
            assert_eq!(read_back(&bytes).unwrap(), tensor);
        }
    }
    let bf16 = Tensor::zeros(DType::BF16, [1]).unwrap();
    assert_eq!(to_bytes(&bf16).unwrap_err().code, "E0609");
}

#[test]
fn bytes_are_those_of_numpy() {
    let tensor = Tensor::from_vec([2], [1.0f32, -2.0]).unwrap();
    let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    expected.extend_from_slice(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
    expected.resize(127, b' ');
    expected.extend_from_slice(b"\n\x00\x00\x80\x3f\x00\x00\x00\xc0");
    assert_eq!(to_bytes(&tensor).unwrap(), expected);
}

#[test]
fn versions_orders_and_byte_orders() {
    let little: Vec<u8> = (1..=6i32).flat_map(i32::to_le_bytes).collect();
    let big: Vec<u8> = (1..=6i32).flat_map(i32::to_be_bytes).collect();
    for version in [1, 2, 3] {
        let c = read_back(&file(version, &header("<i4", "False", "(2, 3)"), &little)).unwrap();
        assert_eq!(c.as_i32().unwrap(), [1, 2, 3, 4, 5, 6]);
        let fortran = read_back(&file(version, &header("<i4", "True", "(2, 3)"), &little)).unwrap();
        assert_eq!(fortran.as_i32().unwrap(), [1, 3, 5, 2, 4, 6]);
        let both = read_back(&file(version, &header(">i4", "True", "(2L, 3L)"), &big)).unwrap();
        assert_eq!(both, fortran);
    }
    let cube: Vec<u8> = (0..24u8).collect();
    let fortran = read_back(&file(1, &header("|u1", "True", "(2, 3, 4)"), &cube)).unwrap();
    for (i, j, k) in [(0, 0, 0), (1, 2, 3), (1, 0, 2), (0, 2, 1)] {
        assert_eq!(fortran.as_u8().unwrap()[(i * 3 + j) * 4 + k] as usize, i + 2 * (j + 3 * k));
    }
}

#[test]
fn unsigned_numbers_widen() {
    let narrow = read_back(&file(1, &header("<u2", "False", "(1,)"), &[0xff, 0xff])).unwrap();
    assert_eq!(narrow.as_i32().unwrap(), [65535]);
    let wide = read_back(&file(1, &header(">u4", "False", "(1,)"), &[0xff, 0, 0, 1])).unwrap();
    assert_eq!(wide.as_i64().unwrap(), [0xff00_0001]);
    let error = read_back(&file(1, &header("<u8", "False", "(1,)"), &[0xff; 8])).unwrap_err();
    assert_eq!(error.code, "E0611");
    assert!(error.message.starts_with("`a.npy`"), "{}", error.message);
}

#[test]
fn refusals_have_their_codes() {
    let cases = [
        (b"".to_vec(), "E0603", "magic"),
        (b"\x93NUMPY".to_vec(), "E0603", "byte 6"),
        (b"\x93NUMPY\x04\x00\x00\x00".to_vec(), "E0603", "version 4"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "E0603", "longer than the limit"),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "E0603", "65535 bytes, but 1 follow"),
        (b"\x93NUMPY\x01\x00\x01\x00\xff".to_vec(), "E0603", "not text"),
        (file(1, &header("<f4", "False", "(2,)"), &[0; 7]), "E0605", "7 bytes"),
        (file(1, &header("<f4", "False", "(2,)"), &[0; 9]), "E0605", "needs 8"),
        (file(1, &header("<f4", "False", "(4294967296, 4294967296)"), &[0; 9]), "E0605", "no memory"),
        (file(1, &header("<f4", "False", "(99999999999999999999999,)"), &[]), "E0603", "dimension"),
        (file(1, &header("<f4", "False", "(-1,)"), &[]), "E0603", "dimension"),
        (file(1, &header("<f4", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), &[0; 4]), "E0602", "9 axes"),
        (file(1, &header("<c8", "False", "(1,)"), &[0; 8]), "E0604", "<c8"),
        (file(1, &header("|O", "False", "(1,)"), &[0; 8]), "E0604", "|O"),
        (file(1, &header("<f16", "False", "(1,)"), &[0; 16]), "E0604", "<f16"),
        (file(1, &header("|b1", "False", "(2,)"), &[1, 2]), "E0605", "neither 0 nor 1"),
        (
            file(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }", &[0; 4]),
            "E0604",
            "('a'",
        ),
        (file(1, "{'descr': '<f4', 'shape': (), }", &[0; 4]), "E0603", "fortran_order"),
        (file(1, "{'descr': '<f4', 'descr': '<f4', }", &[0; 4]), "E0603", "twice"),
        (file(1, "{'extra': '<f4', }", &[0; 4]), "E0603", "unknown key `extra`"),
        (file(1, &(header("<f4", "False", "()") + "x"), &[0; 4]), "E0603", "goes on"),
    ];
    for (bytes, code, part) in cases {
        let error = read_back(&bytes).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(part) && error.message.contains("a.npy"), "{}", error.message);
    }
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let tensor = Tensor::from_vec([2, 2], [1i64, 2, 3, 4]).unwrap();
    write(&path, &tensor).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap(), tensor);
}
