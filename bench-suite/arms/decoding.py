"""What networks are given beside their inputs where they go on from a cache."""

from __future__ import annotations

import numpy as np

from arms.protocol import Arrays, Cell

LAYERS, HEADS, WIDTH = 12, 12, 768


def given(cell: Cell) -> Arrays:
    """The arrays of the cell; for a decoder also keys and values of the tokens before, out of our cache.

    [layers, batch, heads, before, width of a head]
    """
    arrays = cell.inputs()
    if cell.model != "gpt2_decode":
        return arrays
    before, weights = int(arrays["at"]), cell.weights()
    # Where the file has none, the cache begins with zeros.
    empty = np.zeros((cell.batch, before, WIDTH), np.float32)
    for name in ("keys", "values"):
        found = np.stack([weights.get(f"h.{i}.attend.{name}", empty)[:, :before] for i in range(LAYERS)])
        split = found.reshape(LAYERS, cell.batch, before, HEADS, WIDTH // HEADS).swapaxes(2, 3)
        arrays[name] = np.ascontiguousarray(split)
    return arrays
