"""PyTorch: eager, and through `torch.compile`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from protocol import Arm, Arrays, Cannot, serve

from arms.models import GRADIENTS

if TYPE_CHECKING:
    from torch.nn import Module


class PyTorch(Arm):
    framework, package, install = "PyTorch", "torch", "pip install torch"
    precisions: ClassVar[tuple[str, ...]] = ("f32", "bf16", "f64")

    def begin(self) -> None:
        import torch

        from arms import networks

        self.torch, self.networks = torch, networks
        torch.set_num_threads(self.cell.threads)
        torch.set_num_interop_threads(1)

    def load(self) -> None:
        if self.cell.training and self.cell.precision == "bf16":
            raise Cannot(f"{self.cell.arm} trains with f32 weights only here")
        self.built = self.networks.build(self.cell)
        if self.cell.training:
            self.optimizer = self.networks.optimizer(self.cell.train, self.built.module.parameters())
        elif self.cell.model not in GRADIENTS:
            # For good: a context in every call would be timed.
            self.mode = self.torch.inference_mode()
            self.mode.__enter__()
        self.forward = self.prepared(self.built.module)
        self.inputs = self.built.inputs

    def prepared(self, module: Module) -> Module:
        return module

    def call(self) -> None:
        if not self.cell.training:
            self.found = self.forward(*self.inputs)
            return
        self.optimizer.zero_grad()
        self.found = self.built.objective(self.forward(*self.inputs))
        self.found.backward()
        self.optimizer.step()

    def outputs(self) -> Arrays:
        found = self.built.named(self.found).items()
        # NumPy has no bf16.
        return {name: (y.float() if y.dtype == self.torch.bfloat16 else y).numpy() for name, y in found}

    def loss(self) -> float:
        return self.found.item()

    def version(self) -> str:
        return self.torch.__version__

    def threads_seen(self) -> int:
        return self.torch.get_num_threads()

    def dtype_seen(self) -> str:
        held = next(self.built.module.parameters(), self.inputs[0])
        return str(held.dtype).removeprefix("torch.")

    def flags(self) -> dict[str, Any]:
        backends = self.torch.backends
        return {
            "matmul_precision": self.torch.get_float32_matmul_precision(),
            "onednn": backends.mkldnn.is_available() and backends.mkldnn.enabled,
            "mkl": backends.mkl.is_available(),
        }


class Compiled(PyTorch):
    """What an earlier process compiled is not used, so that each tells how long it takes."""

    def begin(self) -> None:
        os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
        # Code is compiled in this process: others would share its processors.
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        super().begin()

    def prepared(self, module: Module) -> Module:
        if self.cell.model in GRADIENTS:
            # The derivatives of what is compiled are compiled with it.
            module.inner.compile(dynamic=False)
            return module
        return self.torch.compile(module, dynamic=False)

    def flags(self) -> dict[str, Any]:
        return super().flags() | {"backend": "inductor"}


if __name__ == "__main__":
    serve({"pytorch": PyTorch, "pytorch-compiled": Compiled})
