from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Draws, Network, Tensors, filled
from .schedule import cosine, decaying_matrices


class SelfAttention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.dense = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        o = F.scaled_dot_product_attention(q, k, v, mask[:, None, None])
        return self.dense(o.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, d: int, heads: int, wide: int) -> None:
        super().__init__()
        self.attention = SelfAttention(d, heads)
        self.norm1, self.norm2 = nn.LayerNorm(d, 1e-12), nn.LayerNorm(d, 1e-12)
        self.think = nn.Sequential(nn.Linear(d, wide), nn.GELU(), nn.Linear(wide, d))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm1(x + self.attention(x, mask))
        return self.norm2(y + self.think(y))


class MiniLM(nn.Module):
    def __init__(self, vocab: int, layers: int, d: int, heads: int, wide: int, positions: int) -> None:
        super().__init__()
        self.words, self.place, self.kind = (
            nn.Embedding(vocab, d),
            nn.Embedding(positions, d),
            nn.Embedding(2, d),
        )
        self.norm = nn.LayerNorm(d, 1e-12)
        self.block = nn.ModuleList(Block(d, heads, wide) for _ in range(layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1])
        x = self.norm(self.words(ids) + self.place(places) + self.kind(torch.zeros_like(ids)))
        for block in self.block:
            x = block(x, mask)
        seen = mask[..., None].to(x.dtype)
        return F.normalize((x * seen).sum(1) / seen.sum(1).clamp(min=1e-9), dim=-1)


def names(layers: int) -> dict[str, str]:
    found = {name: name for name in ("words", "place", "kind")} | {"norm": "layer_norm"}
    for i in range(layers):
        block = f"block.{i}"
        found |= {
            f"{block}.attention.{n}": f"{block}.attention.{n}" for n in ("query", "key", "value", "dense")
        }
        found |= {f"{block}.norm1": f"{block}.layer_norm", f"{block}.norm2": f"{block}.layer_norm_1"}
        found |= {f"{block}.think.0": f"{block}.dense", f"{block}.think.2": f"{block}.dense_1"}
    return found


def sentences(vocab: int, d: int, rows: int, length: int) -> list[Tensors]:
    """Of several lengths, the first of full length."""
    draws = Draws("minilm sentences")
    batches = []
    for _ in range(2):
        lengths = draws.integers(length, rows) + 1
        lengths[0] = length
        batches.append(
            {
                "ids": draws.integers(vocab, rows, length),
                "mask": torch.arange(length) < lengths[:, None],
                "teacher": draws.normal(rows, d),
            }
        )
    return batches


def minilm(rows: int, length: int, steps: int, **sizes: int) -> Network:
    return Network(
        name="minilm",
        file="minilm.model",
        module=filled(MiniLM(**sizes), "minilm"),
        layers=names(sizes["layers"]),
        inputs=("ids", "mask"),
        outputs=("sentence",),
        batches=sentences(sizes["vocab"], sizes["d"], rows, length),
        loss=lambda found, given: 1 - F.cosine_similarity(found["sentence"], given["teacher"], dim=-1).mean(),
        optimizer=lambda weights: optim.AdamW(decaying_matrices(weights, 0.01), 5e-5),
        schedule=cosine(5),
        clip=1.0,
        settings={name: str(size) for name, size in sizes.items()},
        replace={"warmup: 500": "warmup: 5"},
        steps=steps,
        repetitions=8 if steps == 50 else 2,
    )


def small() -> list[Network]:
    return [minilm(5, 7, 50, vocab=40, layers=2, d=16, heads=4, wide=32, positions=12)]


def full() -> list[Network]:
    return [minilm(4, 64, 10, vocab=30522, layers=6, d=384, heads=12, wide=1536, positions=512)]
