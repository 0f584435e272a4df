//! Broken files of every kind: reading them ends in tensors or in a diagnostic, never in a panic, and stays small.

use std::collections::BTreeMap;
use tensor::{
    DType, Limits, Tensor, npy,
    npz::{self, Compression},
    philox::Stream,
    safetensors::Weights,
};

const MUTANTS: u64 = 1500;

/// `seed` with one to four random edits: flipped bits, extreme bytes, cuts, repeats, digits that grow.
fn mutate(seed: &[u8], number: u64) -> Vec<u8> {
    let stream = Stream::new(number, "mutant", 0);
    let mut bytes = seed.to_vec();
    for edit in 0..=u64::from(stream.words(0)[0] % 4) {
        let [kind, place, value, length] = stream.words(edit + 1);
        if bytes.is_empty() {
            break;
        }
        // Headers are where the decisions are, so half of the edits go to the first 128 bytes.
        let reach = if place & 1 == 0 { bytes.len() } else { bytes.len().min(128) };
        let at = (place >> 1) as usize % reach;
        let end = (at + 1 + length as usize % 16).min(bytes.len());
        match kind % 7 {
            0 => bytes[at] ^= 1 << (value % 8),
            1 => bytes[at] = [0x00, 0xff, 0x7f, 0x80][value as usize % 4],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => bytes[at..end].fill(0xff),
            _ => bytes
                .iter_mut()
                .skip(at)
                .take(16)
                .filter(|byte| byte.is_ascii_digit())
                .for_each(|byte| *byte = b'9'),
        }
    }
    bytes
}

/// The highest memory use of this process so far, in KiB, where the system tells it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn arrays() -> BTreeMap<String, Tensor> {
    let image: Vec<f32> = (0..12).map(|number| number as f32).collect();
    let arrays = [
        ("image", Tensor::from_vec([4, 3], image)),
        ("label", Tensor::from_vec([4], [0i64, 1, 2, 3])),
        ("mask", Tensor::zeros(DType::Bool, [4, 2, 2])),
    ];
    arrays.into_iter().map(|(name, array)| (name.to_string(), array.expect("small arrays"))).collect()
}

/// Reads every mutant; some must still be read and some refused, else the test would test nothing.
fn survive(seeds: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<usize, base::Diagnostic>) {
    let before = peak_kib();
    let (mut read_well, mut refused) = (0, 0);
    for seed in seeds {
        for number in 0..MUTANTS {
            let bytes = mutate(seed, number);
            match read(&bytes) {
                Ok(size) => {
                    read_well += 1;
                    assert!(size <= 1 << 20, "mutant {number} grew to {size} bytes");
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.message.contains("`hostile"), "no file named: {}", error.message);
                    assert!(error.code.starts_with("E06") || error.code.starts_with("E07"));
                }
            }
        }
    }
    assert!(read_well > 0 && refused > MUTANTS, "{read_well} read, {refused} refused");
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 256 << 10, "memory grew by {} KiB", after - before);
    }
}

#[test]
fn npy_mutants() {
    let seeds: Vec<Vec<u8>> = arrays().values().map(|tensor| npy::to_bytes(tensor).unwrap()).collect();
    survive(&seeds, |bytes| {
        npy::parse(bytes, "hostile", &Limits::default()).map(|tensor| tensor.bytes().len())
    });
}

#[test]
fn npz_mutants() {
    let seeds =
        [Compression::Store, Compression::Deflate].map(|form| npz::to_bytes(&arrays(), form).unwrap());
    survive(&seeds, |bytes| {
        let read = npz::parse(bytes, "hostile", &Limits::default())?;
        Ok(read.values().map(|tensor| tensor.bytes().len()).sum())
    });
}

#[test]
fn safetensors_mutants() {
    let metadata = BTreeMap::from([("version".to_string(), "1".to_string())]);
    let seed = Weights { tensors: arrays(), metadata }.to_bytes().unwrap();
    survive(&[seed.clone(), seed], |bytes| {
        let read = Weights::parse(bytes, "hostile", &Limits::default())?;
        Ok(read.tensors.values().map(|tensor| tensor.bytes().len()).sum())
    });
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let npy = npy::to_bytes(&arrays()["image"]).unwrap();
    let npz = npz::to_bytes(&arrays(), Compression::Deflate).unwrap();
    let weights = Weights { tensors: arrays(), metadata: BTreeMap::new() }.to_bytes().unwrap();
    for end in 0..npy.len() {
        assert!(npy::parse(&npy[..end], "hostile", &Limits::default()).is_err(), "npy cut at {end}");
    }
    for end in 0..npz.len() {
        assert!(npz::parse(&npz[..end], "hostile", &Limits::default()).is_err(), "npz cut at {end}");
    }
    for end in 0..weights.len() {
        assert!(
            Weights::parse(&weights[..end], "hostile", &Limits::default()).is_err(),
            "weights cut at {end}"
        );
    }
}
