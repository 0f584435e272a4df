"""Means over rows, by Keras's own losses."""

from __future__ import annotations

from keras import KerasTensor, losses, ops

Tensors = dict[str, KerasTensor]


def cross_entropy(found: Tensors, given: Tensors) -> KerasTensor:
    return ops.mean(losses.sparse_categorical_crossentropy(given["label"], found["logits"], from_logits=True))


def next_symbol(found: Tensors, given: Tensors) -> KerasTensor:
    return ops.mean(
        losses.sparse_categorical_crossentropy(given["target"], found["logits"], from_logits=True)
    )
