"""Batches of the text that comes along, as `text(…, tokenizer: chars())` reads it."""

from __future__ import annotations

import torch

from .core import DATA, Tensors


def windows(name: str, symbols: int, rows: int, length: int, count: int = 3) -> list[Tensors]:
    """`count` batches of windows side by side; `target` is the same moved on by one symbol."""
    text = (DATA / "sums.txt").read_text()
    ids = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    if len(ids) > symbols:
        raise ValueError(f"the text has {len(ids)} symbols, more than {symbols}")
    stream = torch.tensor([ids[symbol] for symbol in text], dtype=torch.int32)
    batches = []
    for i in range(count):
        starts = [(i * rows + row) * length for row in range(rows)]
        batches.append(
            {
                name: torch.stack([stream[start : start + length] for start in starts]),
                "target": torch.stack([stream[start + 1 : start + 1 + length] for start in starts]),
            }
        )
    return batches
