"""The measured networks in frameworks other than PyTorch: a folder for each, in it a file for each family."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from arms.protocol import Cannot

# Which file has which networks.
FILES = {
    "mlp": "dense",
    "tabular": "dense",
    "vae": "vae",
    "lenet": "lenet",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "mobilenet_v2": "mobilenet_v2",
    "hydranet": "hydranet",
    "vit_s": "vit",
    "minilm": "minilm",
    "gpt2": "gpt2",
    "gpt2_decode": "gpt2",
    "lstm": "lstm",
    "gemm": "kernels",
    "gemm_weight": "kernels",
    "conv": "kernels",
    "conv_3x3": "kernels",
    "attention": "kernels",
    "attention_gradient": "kernels",
    "softmax": "kernels",
    "layer_norm": "kernels",
    "chain": "kernels",
}
# What gives derivatives as outputs.
GRADIENTS = ("attention_gradient",)


def networks(package: str, framework: str, name: str) -> dict[str, Any]:
    """The `NETWORKS` of the file that has this one."""
    if name not in FILES:
        raise Cannot(f"there is no {name} in {framework} here")
    return import_module(f"{package}.{FILES[name]}").NETWORKS
