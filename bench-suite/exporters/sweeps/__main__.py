"""`python -m exporters.sweeps` in `bench-suite`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.numpy import save_file

from . import algebra, convolution, elementwise, layers, moves, order, pooling
from .configuration import Configuration, export

SWEEPS: dict[str, Callable[[], list[Configuration]]] = {
    "algebra": algebra.configurations,
    "convolution": convolution.configurations,
    "elementwise": elementwise.configurations,
    "layers": layers.configurations,
    "moves": moves.configurations,
    "order": order.configurations,
    "pooling": pooling.configurations,
}


def main() -> None:
    folder = Path(__file__).resolve().parents[2] / "references" / "sweeps"
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, list_configurations in SWEEPS.items():
        entries, results = export(list_configurations())
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n")
        save_file({"results": results}, folder / f"{name}.safetensors")
        print(f"{name}: {len(entries)} configurations, {results.nbytes / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
