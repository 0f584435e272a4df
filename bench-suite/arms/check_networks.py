"""Holds Keras's and Flax's networks to the small ones of `references/`: `python arms/check_networks.py flax`.

Needs neither `dlc` nor PyTorch, and takes seconds a network: for whoever changes a definition in
`arms/models`. The outputs of an inference and the first loss of a training are compared with PyTorch's in
f64. `try_arm.py` has the sizes that are measured, and the steps after the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from protocol import HERE  # first, as it sets the path

import numpy as np  # isort: skip
from arms.try_arm import Process, distance  # isort: skip

REFERENCES = HERE.parent / "references" / "models"
TOLERANCE = 1e-4
# What a network is called there, and sizes that are no settings of its `.model`.
NETWORKS: dict[str, tuple[str, dict[str, str]]] = {
    "mlp": ("mlp", {}),
    "tabular": ("tabular", {}),
    "lenet": ("lenet5", {}),
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "mobilenet_v2": ("mobilenet_v2", {}),
    "vit_s": ("vit", {"rate": "0.0"}),
    "minilm": ("minilm", {}),
    "gpt2": ("gpt2", {}),
    "lstm": ("lstm", {}),
    "vae": ("vae_f64", {"wide": "16", "noise": "false"}),
    "hydranet": ("hydranet", {"widths": "[4, 6, 8]", "boxes": "5"}),
}
# Settings that say the size of an input, which arms see for themselves.
TOLD_BY_INPUTS = ("side",)
# Their references smooth labels or draw, which measured training does not.
OTHER_LOSS = ("resnet50", "vit_s", "vae")


def cell(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], np.ndarray]:
    """The request `load`, with the outputs and the loss to be found."""
    reference, sizes = NETWORKS[name]
    told = json.loads((REFERENCES / reference / "reference.json").read_text())
    weights = (REFERENCES / reference / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights)
    with np.load(REFERENCES / reference / "arrays.npz") as arrays:
        np.savez(folder / "inputs.npz", **{n: whole(arrays[n]) for n in told["inputs"]})
        wanted = {n: arrays[f"f64.{n}"] for n in told["outputs"]}
        rows = len(arrays[told["inputs"][0]])
    settings = {n: x for n, x in told["settings"].items() if n not in TOLD_BY_INPUTS} | sizes
    request = {"do": "load", "model": name, "batch": rows, "folder": str(folder), "settings": settings}
    return request, wanted, np.array([told["loss"]["f64"]])


def whole(x: np.ndarray) -> np.ndarray:
    return x.astype(np.int32) if x.dtype.kind == "i" else x


def checked(arm: str, name: str, mode: str) -> str:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        request, wanted, loss = cell(name, folder)
        process = Process(arm, sys.executable, 600)
        train = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9}
        told = process.ask({**request, **process.load, "mode": mode, "train": train})
        path = folder / "found.npz"
        said = told if "framework" not in told else process.ask({"do": "first", "steps": 1, "to": str(path)})
        process.ask({"do": "stop"})
        process.timer.cancel()
        if "seconds" not in said:
            return f"{said}"
        wanted = wanted if mode == "infer" else {"loss": loss}
        with np.load(path) as found:
            worst = max(distance(found, n, x) for n, x in wanted.items())
    return f"{'right' if worst <= TOLERANCE else 'wrong'} ({worst:.0e})"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("arms", nargs="+", help="of Keras and Flax, by their names in index.toml")
    parser.add_argument("--models", default=",".join(NETWORKS))
    arguments = parser.parse_args()
    bad = 0
    for name in arguments.models.split(","):
        for mode in ("infer",) if name in OTHER_LOSS else ("infer", "train"):
            for arm in arguments.arms:
                said = checked(arm, name, mode)
                bad += not said.startswith(("right", "{'cannot", "{'missing"))
                print(f"{arm:<14} {name:<12} {mode:<5} {said}", flush=True)
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
