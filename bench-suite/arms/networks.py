"""The networks of `models.toml` in PyTorch, with what their layers are called in our `.model` files.

The single operations of `kernels.py` are built here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from arms import decoding, kernels
from arms.protocol import Arrays, Cannot, Cell
from exporters.models import (
    gpt2,
    hydranet,
    lenet5,
    lstm,
    minilm,
    mlp,
    mobilenet_v2,
    resnet,
    tabular,
    vae,
    vit,
)
from exporters.models.core import Layered, Tensors, names

Loss = Callable[[Tensors, Tensors], Tensor]


def cross_entropy(output: str, target: str = "label") -> Loss:
    def loss(found: Tensors, given: Tensors) -> Tensor:
        logits = found[output]
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), given[target].reshape(-1))

    return loss


class Decoder(gpt2.GPT2):
    """One more token, given the keys and values of those before it: [layers, batch, heads, before, width].

    Gives those of the token as well, for the cache.
    """

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        before = keys.shape[3]
        x = self.wte(tokens) + self.wpe.weight[before : before + 1]
        made = []
        for i, block in enumerate(self.h):
            attend = block.attend
            q, k, v = (
                part.unflatten(-1, (attend.heads, -1)).transpose(1, 2)
                for part in attend.qkv(block.norm1(x)).chunk(3, dim=-1)
            )
            made.append((k, v))
            seen = (torch.cat(pair, dim=2) for pair in ((keys[i], k), (values[i], v)))
            y = x + attend.out(F.scaled_dot_product_attention(q, *seen).transpose(1, 2).flatten(2))
            x = y + block.think(block.norm2(y))
        k, v = (torch.stack(part) for part in zip(*made, strict=True))
        return self.norm(x) @ self.wte.weight.T, k, v


def language(kind: type[gpt2.GPT2], cached: tuple[str, ...] = ()) -> Layered:
    module = kind(vocab=50257, layers=12, d=768, heads=12, context=1024)
    loss = cross_entropy("logits", "target")
    return Layered("gpt2", module, gpt2.names(12), ("tokens", *cached), ("logits", *cached), loss)


def residual(block: type, depth: list[int], classes: int, large: bool) -> Layered:
    layers = resnet.bottleneck_names(depth) if large else resnet.basic_names(large=False)
    module = resnet.ResNet(block, depth, 64, classes, large=large)
    return Layered("resnet", module, layers, ("image",), ("logits",), cross_entropy("logits"))


def classifier(name: str, module: nn.Module, layers: dict[str, str], given: str = "image") -> Layered:
    return Layered(name, module, layers, (given,), ("logits",), cross_entropy("logits"))


NETWORKS: dict[str, Callable[[], Layered]] = {
    "mlp": lambda: classifier("mlp", mlp.perceptron(512), mlp.NAMES),
    "tabular": lambda: Layered(
        "tabular",
        tabular.classifier(64),
        tabular.NAMES,
        ("x",),
        ("p",),
        lambda found, given: F.binary_cross_entropy(found["p"], given["target"]),
    ),
    "lenet": lambda: classifier("lenet", lenet5.LeNet5([6, 16, 120, 84]), lenet5.NAMES),
    "resnet18": lambda: residual(resnet.Basic, [2, 2, 2, 2], 10, False),
    "resnet50": lambda: residual(resnet.Bottleneck, [3, 4, 6, 3], 1000, True),
    "mobilenet_v2": lambda: classifier(
        "mobilenet_v2",
        mobilenet_v2.MobileNetV2(mobilenet_v2.TABLE, 32, 1280, 1000, 0.0),
        mobilenet_v2.names(mobilenet_v2.TABLE),
    ),
    "vit_s": lambda: classifier(
        "vit_s",
        vit.ViT(layers=12, d=384, heads=6, wide=1536, patch=16, side=224, classes=1000, rate=0.0),
        vit.names(12),
    ),
    "minilm": lambda: Layered(
        "minilm",
        minilm.MiniLM(vocab=30522, layers=6, d=384, heads=12, wide=1536, positions=512),
        minilm.names(6),
        ("ids", "mask"),
        ("sentence",),
        lambda found, given: 1 - F.cosine_similarity(found["sentence"], given["teacher"], dim=-1).mean(),
    ),
    "gpt2": lambda: language(gpt2.GPT2),
    "gpt2_decode": lambda: language(Decoder, ("keys", "values")),
    "lstm": lambda: classifier("lstm", lstm.SeriesLSTM(256, 10), lstm.NAMES, "x"),
    "vae": lambda: Layered(
        "vae", vae.VAE(128, 16, noisy=False), vae.NAMES, ("x",), ("again", "mu", "logvar"), vae.loss
    ),
    "hydranet": lambda: Layered(
        "hydranet",
        hydranet.HydraNet((32, 64, 128), 64),
        hydranet.names(),
        ("frame",),
        ("objects", "lanes", "collision"),
        hydranet.loss,
    ),
}


@dataclass
class Built:
    """A network with the weights of its cell, and what it is given."""

    network: Layered
    module: nn.Module
    given: Tensors
    # Orders of axes: of an input as PyTorch takes it, of an output as the `.model` file has it.
    turns: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(self.turned(name, self.given[name]) for name in self.network.inputs)

    def named(self, outputs: Tensor | tuple[Tensor, ...]) -> Tensors:
        found = outputs if isinstance(outputs, tuple) else (outputs,)
        return {n: self.turned(n, y) for n, y in zip(self.network.outputs, found, strict=True)}

    def turned(self, name: str, x: Tensor) -> Tensor:
        return x.permute(self.turns[name]) if name in self.turns else x

    def objective(self, outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
        return self.network.loss(self.named(outputs), self.given)


def build(cell: Cell) -> Built:
    tensors = {name: torch.from_numpy(x) for name, x in decoding.given(cell).items()}
    if cell.model in NETWORKS:
        network = NETWORKS[cell.model]()
    elif cell.model in kernels.KERNELS:
        network = kernels.network(cell, {name: tuple(x.shape) for name, x in tensors.items()})
    else:
        raise Cannot(f"there is no {cell.model} in PyTorch here")
    fill(network, cell.weights())
    # Classes are long integers in PyTorch, indices need not be.
    for name in {"label", "target"} & set(tensors):
        if not tensors[name].is_floating_point():
            tensors[name] = tensors[name].long()
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f64": torch.float64}[cell.precision]
    tensors = {name: x.to(dtype) if x.is_floating_point() else x for name, x in tensors.items()}
    turns = kernels.turns(cell.model)
    return Built(network, network.module.to(dtype).train(cell.training), tensors, turns)


def fill(network: Layered, weights: Arrays) -> None:
    """What the module has must be in the file, and all of the file in the module, caches aside."""
    slots = names(network)
    extra = [name for name in set(weights) - set(slots) if name.rpartition(".")[2] not in ("keys", "values")]
    if extra or (missing := set(slots) - set(weights)):
        raise ValueError(f"{network.name}: not in both: {sorted(extra or missing)[:5]}")
    with torch.no_grad():
        for name, x in slots.items():
            stored = torch.from_numpy(weights[name])
            x.copy_(stored.T if getattr(x, "dense", False) else stored)


def optimizer(train: dict, weights: Iterator[nn.Parameter]) -> optim.Optimizer:
    rate, trained = train["lr"], [x for x in weights if x.requires_grad]
    if train["optimizer"] == "sgd":
        return optim.SGD(trained, rate, train.get("momentum", 0.0))
    if train["optimizer"] == "adam":
        return optim.Adam(trained, rate)
    raise Cannot(f"no optimiser `{train['optimizer']}` here")
