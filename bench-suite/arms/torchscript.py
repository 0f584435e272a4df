"""TorchScript: a trace of the module, frozen where it only infers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol import Cannot, serve

from arms.models import GRADIENTS
from arms.pytorch import PyTorch

if TYPE_CHECKING:
    from torch.nn import Module


class TorchScript(PyTorch):
    framework = "TorchScript"

    def prepared(self, module: Module) -> Module:
        if self.cell.model in GRADIENTS:
            raise Cannot("a trace holds no derivatives")
        jit = self.torch.jit
        traced = jit.trace(module, self.built.inputs, check_trace=False)
        return traced if self.cell.training else jit.optimize_for_inference(jit.freeze(traced))

    def flags(self) -> dict[str, Any]:
        return super().flags() | {"fuser": "nnc" if self.torch._C._jit_texpr_fuser_enabled() else None}


if __name__ == "__main__":
    serve({"torchscript": TorchScript})
