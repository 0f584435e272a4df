//! The frameworks: in which order they stand, how they are called and how they are drawn, the same on every page.

use crate::chart::{Ink, Marker};

/// Ours, which the others are compared with.
pub(crate) const OURS: &str = "dlc";

/// The arms that a report knows by name. Others come after them, by the alphabet.
const KNOWN: &[(&str, &str)] = &[
    ("dlc", "dlc"),
    ("dlc-aot", "dlc C library"),
    ("dlc-dynamic", "dlc open sizes"),
    ("dlc-graph", "dlc graph"),
    ("dlc-eager", "dlc eager"),
    ("pytorch", "PyTorch"),
    ("pytorch-compiled", "PyTorch compiled"),
    ("torchscript", "TorchScript"),
    ("lightning", "Lightning"),
    ("keras-tf", "Keras TF graph"),
    ("keras-tf-xla", "Keras TF XLA"),
    ("keras-jax", "Keras JAX"),
    ("keras-torch", "Keras PyTorch"),
    ("flax", "Flax"),
    ("jax-eager", "JAX eager"),
    ("onnxruntime", "ONNX Runtime"),
    ("openvino", "OpenVINO"),
    ("iree", "IREE"),
    ("tvm", "TVM"),
    ("tract", "tract"),
    ("burn", "burn"),
    ("candle", "candle"),
];

/// Whether an arm is a form of `dlc`.
pub(crate) fn is_ours(arm: &str) -> bool {
    arm == OURS || arm.starts_with("dlc-")
}

pub(crate) fn title(arm: &str) -> String {
    KNOWN
        .iter()
        .find(|(name, _)| *name == arm)
        .map_or_else(|| arm.to_string(), |(_, title)| (*title).to_string())
}

/// Sorts arms into the order of the pages.
pub(crate) fn rank(arm: &str) -> (usize, &str) {
    (KNOWN.iter().position(|(name, _)| *name == arm).unwrap_or(KNOWN.len()), arm)
}

/// The colour and shape of an arm. Shapes differ where colours come again, so that colour alone never tells two apart.
pub(crate) fn look(arm: &str) -> (Ink, Marker) {
    let number = match KNOWN.iter().position(|(name, _)| *name == arm) {
        Some(number) => number,
        None => KNOWN.len() + arm.bytes().map(usize::from).sum::<usize>() % 19,
    };
    let inks = Ink::SERIES;
    (inks[number % inks.len()], Marker::ALL[(number + number / inks.len()) % Marker::ALL.len()])
}
