"""TVM on the processor, from a file that PyTorch exports: its default pipeline, no search for schedules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from protocol import Cannot, serve

from arms.onnx_model import OnnxArm, built_once


class Tvm(OnnxArm):
    framework, package, install = "TVM", "tvm", "pip install apache-tvm onnxscript torch"

    def begin(self) -> None:
        os.environ["TVM_NUM_THREADS"] = str(self.cell.threads)
        import tvm
        from tvm import relax

        self.tvm, self.relax = tvm, relax

    def load(self) -> None:
        super().load()
        self.library = self.path.with_suffix(".so")

    def compile(self) -> None:
        self.earlier_s = built_once(self.library, self.build)
        device = self.tvm.cpu()
        machine = self.relax.VirtualMachine(self.tvm.runtime.load_module(str(self.library)), device)
        self.function = machine["main"]
        self.inputs = [self.tvm.runtime.tensor(x, device) for x in self.arrays.values()]

    def build(self, output: Path) -> None:
        import onnx
        from tvm.relax.frontend.onnx import from_onnx

        try:
            module = from_onnx(onnx.load(str(self.path)), keep_params_in_input=False)
        except self.tvm.error.OpNotImplemented as fault:
            raise Cannot(f"TVM: {fault}") from None
        built = self.tvm.compile(module, self.tvm.target.Target.from_device(self.tvm.cpu()))
        built.export_library(str(output))

    def call(self) -> None:
        found = self.function(*self.inputs)
        self.found = [found] if hasattr(found, "numpy") else list(found)

    def outputs(self) -> dict[str, np.ndarray]:
        self.found = [y.numpy() for y in self.found]
        return super().outputs()

    def version(self) -> str:
        return self.tvm.__version__

    def threads_seen(self) -> int:
        return self.tvm.runtime.num_threads()

    def artifact_bytes(self) -> int:
        return self.library.stat().st_size

    def flags(self) -> dict[str, Any]:
        return {"tuned": False}


if __name__ == "__main__":
    serve({"tvm": Tvm})
