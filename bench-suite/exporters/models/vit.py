"""Against torchvision's `VisionTransformer`, where it is installed, the module is held in evaluation."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from .core import Network, filled, parameters
from .images import labelled
from .philox import Dropout, set_step
from .schedule import cosine, decaying_matrices


class Attention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, path: str, d: int, heads: int, wide: int, rate: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            nn.LayerNorm(d, 1e-6), Attention(d, heads), Dropout(rate, path, "dropout")
        )
        self.think = nn.Sequential(
            nn.LayerNorm(d, 1e-6),
            nn.Linear(d, wide),
            nn.GELU(),
            Dropout(rate, path, "dropout_1"),
            nn.Linear(wide, d),
            Dropout(rate, path, "dropout_2"),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.attend(x)
        return y + self.think(y)


class ViT(nn.Module):
    # What is called `class` there cannot be an attribute that code names.
    slots: ClassVar[dict[str, str]] = {"token": "class"}

    def __init__(
        self,
        layers: int,
        d: int,
        heads: int,
        wide: int,
        patch: int,
        side: int,
        classes: int,
        rate: float,
    ) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, d))
        self.place = nn.Parameter(torch.zeros(1 + (side // patch) ** 2, d))
        self.patches = nn.Conv2d(3, d, patch, patch)
        blocks = [Block(f"block.{i}", d, heads, wide, rate) for i in range(layers)]
        self.encoder = nn.Sequential(Dropout(rate, "dropout"), *blocks, nn.LayerNorm(d, 1e-6))
        self.head = nn.Linear(d, classes)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patches(image).flatten(2).transpose(1, 2)
        token = self.token.expand(len(image), -1, -1)
        return self.head(self.encoder(torch.cat([token, patches], 1) + self.place)[:, 0])


def names(layers: int) -> dict[str, str]:
    found = {"patches": "patches.conv2d", f"encoder.{layers + 1}": "layer_norm", "head": "dense"}
    for i in range(layers):
        theirs, ours = f"encoder.{i + 1}", f"block.{i}"
        found[f"{theirs}.attend.0"] = f"{ours}.layer_norm"
        found |= {f"{theirs}.attend.1.{n}": f"{ours}.attention.{n}" for n in ("query", "key", "value", "out")}
        found[f"{theirs}.think.0"] = f"{ours}.layer_norm_1"
        found[f"{theirs}.think.1"], found[f"{theirs}.think.4"] = f"{ours}.dense", f"{ours}.dense_1"
    return found


def vit(rows: int, steps: int, **sizes: int) -> Network:
    module = ViT(**sizes, rate=0.1)
    return Network(
        name="vit",
        file="vit.model",
        module=filled(module, "vit"),
        layers=names(sizes["layers"]),
        inputs=("image",),
        outputs=("logits",),
        batches=labelled("vit images", rows, 3, sizes["side"], sizes["classes"]),
        loss=lambda found, given: F.cross_entropy(
            found["logits"], given["label"].long(), label_smoothing=0.1
        ),
        optimizer=lambda weights: optim.AdamW(decaying_matrices(weights, 0.05), 1e-3),
        schedule=cosine(5),
        clip=1.0,
        before=set_step,
        settings={name: str(size) for name, size in sizes.items()},
        replace={
            "warmup: 10000": "warmup: 5",
            "resize(224, 224)": f"resize({sizes['side']}, {sizes['side']})",
        },
        steps=steps,
        repetitions=8 if steps == 50 else 2,
    )


def small() -> list[Network]:
    return [vit(6, 50, layers=2, d=16, heads=2, wide=32, patch=4, side=12, classes=5)]


def full() -> list[Network]:
    sizes = {"layers": 12, "d": 384, "heads": 6, "wide": 1536, "patch": 16, "side": 224, "classes": 1000}
    whole = vit(2, 10, **sizes)
    agrees_with_torchvision(whole, sizes)
    return [whole]


def agrees_with_torchvision(network: Network, sizes: dict[str, int]) -> None:
    try:
        from torchvision.models import VisionTransformer
    except ImportError:
        return
    shape = (sizes[n] for n in ("side", "patch", "layers", "heads", "d", "wide"))
    theirs = VisionTransformer(*shape, num_classes=sizes["classes"]).double().eval()
    ours = network.module.eval()
    weights = ours.state_dict()
    found = {"class_token": weights["token"], "encoder.pos_embedding": weights["place"][None]}

    def take(name: str, own: str, *more: str) -> None:
        for slot in ("weight", "bias"):
            found[f"{name}.{slot}"] = torch.cat([weights[f"{part}.{slot}"] for part in (own, *more)])

    take("conv_proj", "patches")
    for i in range(sizes["layers"]):
        name, own = f"encoder.layers.encoder_layer_{i}", f"encoder.{i + 1}"
        take(f"{name}.ln_1", f"{own}.attend.0")
        take(f"{name}.self_attention.in_proj", *(f"{own}.attend.1.{n}" for n in ("query", "key", "value")))
        take(f"{name}.self_attention.out_proj", f"{own}.attend.1.out")
        take(f"{name}.ln_2", f"{own}.think.0")
        take(f"{name}.mlp.0", f"{own}.think.1")
        take(f"{name}.mlp.3", f"{own}.think.4")
    take("encoder.ln", f"encoder.{sizes['layers'] + 1}")
    take("heads.head", "head")
    # Only there has the projection an underscore before its slot.
    theirs.load_state_dict({n.replace("in_proj.", "in_proj_"): x for n, x in found.items()})
    with torch.no_grad():
        image = network.batches[0]["image"]
        if parameters(theirs) != parameters(ours) or not torch.allclose(
            ours(image), theirs(image), rtol=1e-9
        ):
            raise ValueError(f"{network.name} is not torchvision's VisionTransformer")
    print(f"{network.name} is torchvision's VisionTransformer, {parameters(theirs)} parameters")
