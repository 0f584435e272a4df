"""ONNX Runtime on the processor, from a file that PyTorch exports."""

from __future__ import annotations

from typing import Any

from protocol import serve

from arms.onnx_model import OnnxArm


class OnnxRuntime(OnnxArm):
    framework, package, install = "ONNX Runtime", "onnxruntime", "pip install onnxruntime onnxscript torch"

    def begin(self) -> None:
        import onnxruntime

        self.onnxruntime = onnxruntime

    def load(self) -> None:
        super().load()
        options = self.onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.cell.threads
        options.inter_op_num_threads = 1
        self.session = self.onnxruntime.InferenceSession(
            self.path, options, providers=["CPUExecutionProvider"]
        )

    def call(self) -> None:
        self.found = self.session.run(None, self.arrays)

    def version(self) -> str:
        return self.onnxruntime.__version__

    def threads_seen(self) -> int:
        return self.session.get_session_options().intra_op_num_threads

    def flags(self) -> dict[str, Any]:
        return {"providers": self.session.get_providers()}


if __name__ == "__main__":
    serve({"onnxruntime": OnnxRuntime})
