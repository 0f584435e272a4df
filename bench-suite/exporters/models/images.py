"""Pictures and labels that depend on a name alone: four levels, so that they take little space."""

from __future__ import annotations

from ..case import Draws, Tensors


def labelled(seed: str, rows: int, channels: int, side: int, classes: int, batches: int = 2) -> list[Tensors]:
    draws = Draws(seed)
    return [
        {
            "image": draws.integers(4, rows, channels, side, side).double() / 2 - 0.75,
            "label": draws.integers(classes, rows),
        }
        for _ in range(batches)
    ]


def resized(text: str, side: int) -> dict[str, str]:
    """What changes in a model's text that resizes its pictures as `text` has it."""
    ours = f"resize({side}, {side})"
    return {} if ours == text else {text: ours}
