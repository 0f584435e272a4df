from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled
from .schedule import cosine, decaying_matrices
from .text import windows


class Attention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(o.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.attend = Attention(d, heads)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.think = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU("tanh"), nn.Linear(4 * d, d))

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.attend(self.norm1(x))
        return y + self.think(self.norm2(y))


class GPT2(nn.Module):
    def __init__(self, vocab: int, layers: int, d: int, heads: int, context: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(context, d)
        self.h = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(d)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.norm(x) @ self.wte.weight.T


def names(layers: int) -> dict[str, str]:
    found = {"wte": "wte", "wpe": "wpe", "norm": "layer_norm"}
    for i in range(layers):
        h = f"h.{i}"
        found |= {f"{h}.attend.qkv": f"{h}.attend.dense", f"{h}.attend.out": f"{h}.attend.dense_1"}
        found |= {f"{h}.norm1": f"{h}.layer_norm", f"{h}.norm2": f"{h}.layer_norm_1"}
        found |= {f"{h}.think.0": f"{h}.dense", f"{h}.think.2": f"{h}.dense_1"}
    return found


def gpt2(rows: int, length: int, steps: int, **sizes: int) -> Network:
    batches = windows("tokens", sizes["vocab"], rows, length)
    return Network(
        name="gpt2",
        file="gpt2.model",
        module=filled(GPT2(**sizes), "gpt2"),
        layers=names(sizes["layers"]),
        inputs=("tokens",),
        outputs=("logits",),
        batches=[batch | {"at": torch.tensor(0, dtype=torch.int32)} for batch in batches],
        loss=lambda found, given: F.cross_entropy(
            found["logits"].flatten(0, 1), given["target"].flatten().long()
        ),
        optimizer=lambda weights: optim.AdamW(decaying_matrices(weights, 0.1), 6e-4),
        schedule=cosine(5),
        clip=1.0,
        settings={name: str(size) for name, size in sizes.items()},
        replace={"warmup: 100": "warmup: 5"},
        steps=steps,
        repetitions=8 if sizes["d"] < 256 else 2,
        interpret=sizes["d"] < 128,
    )


def small() -> list[Network]:
    return [gpt2(3, 24, 50, vocab=32, layers=4, d=32, heads=4, context=32)]


def full() -> list[Network]:
    return [gpt2(4, 128, 10, vocab=50257, layers=12, d=768, heads=12, context=1024)]
