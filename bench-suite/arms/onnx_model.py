"""The network of a cell as ONNX, for the arms that read it: written once into the cell's folder, by PyTorch.

That happens in a process of its own, so that theirs holds no PyTorch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from protocol import Arm, Arrays, Cannot, Cell

from arms.models import GRADIENTS


class OnnxArm(Arm):
    """`path` is the file, `arrays` what it is given, by name; `found` are the results of the latest call.

    A file convolves with channels first: where a single operation has them last, they are turned before and
    after what is timed, for frameworks keep them as they like between their own operations.
    """

    modes: ClassVar[tuple[str, ...]] = ("infer",)
    found: list

    def load(self) -> None:
        from arms import decoding

        if self.cell.model in GRADIENTS:
            raise Cannot(f"{self.cell.arm} has no derivatives")
        self.path = exported(self.cell)
        self.names = json.loads(self.path.with_suffix(".json").read_text())
        arrays = decoding.given(self.cell)
        self.arrays = {name: self.turned(name, arrays[name]) for name in self.names["inputs"]}

    def outputs(self) -> Arrays:
        named = zip(self.names["outputs"], self.found, strict=True)
        return {name: self.turned(name, y) for name, y in named}

    def turned(self, name: str, x: np.ndarray) -> np.ndarray:
        """With its axes in the order of the file, or back."""
        order = self.names.get("turns", {}).get(name)
        return np.ascontiguousarray(x.transpose(order)) if order else x

    def dtype_seen(self) -> str:
        return self.names["dtype"]

    def artifact_bytes(self) -> int | None:
        return self.path.stat().st_size


def built_once(path: Path, build: Callable[[Path], None]) -> float:
    """Makes the file if it is not there; else gives the seconds that it took to make it."""
    told = path.with_name(f"{path.name}.seconds")
    if path.exists() and told.exists():
        return float(told.read_text())
    start, part = time.perf_counter(), path.with_name(f"part-{path.name}")
    build(part)
    told.write_text(str(time.perf_counter() - start))
    part.rename(path)
    return 0.0


def exported(cell: Cell) -> Path:
    path = cell.path("model.onnx")
    if not path.exists() or not path.with_suffix(".json").exists():
        # One file for all precisions: where it is another, the framework computes in it.
        cell = replace(cell, precision="f32")
        done = subprocess.run(
            [sys.executable, __file__],
            input=json.dumps(asdict(cell)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = " ".join(done.stderr.split("\n")[-5:])
            raise RuntimeError(f"the export to ONNX failed: {last.strip()}")
    return path


def main() -> None:
    from arms import networks

    torch = networks.torch
    cell = Cell(**json.loads(sys.stdin.read()))
    built = networks.build(cell)
    path = cell.path("model.onnx")
    # A result may not be called as an input is.
    results = [f"{n}_of_token" if n in built.network.inputs else n for n in built.network.outputs]
    held = next(built.module.parameters(), built.inputs[0])
    names = {
        "turns": built.turns,
        "inputs": built.network.inputs,
        "outputs": built.network.outputs,
        "dtype": str(held.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }
    part = cell.path(f"model.onnx.{os.getpid()}")
    with torch.no_grad():
        program = torch.onnx.export(
            built.module,
            built.inputs,
            input_names=list(built.network.inputs),
            output_names=results,
            dynamo=True,
            external_data=False,
        )
        program.save(str(part), external_data=False)
    path.with_suffix(".json").write_text(json.dumps(names))
    part.rename(path)


if __name__ == "__main__":
    main()
