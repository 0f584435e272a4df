"""OpenVINO on the processor, from a file that PyTorch exports."""

from __future__ import annotations

from typing import Any, ClassVar

from protocol import serve

from arms.onnx_model import OnnxArm


class OpenVino(OnnxArm):
    framework, package, install = "OpenVINO", "openvino", "pip install openvino onnxscript torch"
    precisions: ClassVar[tuple[str, ...]] = ("f32", "bf16")

    def begin(self) -> None:
        import openvino

        self.openvino = openvino

    def load(self) -> None:
        super().load()
        self.core = self.openvino.Core()
        self.network = self.core.read_model(self.path)

    def compile(self) -> None:
        wanted = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": self.cell.threads,
            # Where the processor has bf16, that is what it would compute f32 in.
            "INFERENCE_PRECISION_HINT": self.cell.precision,
        }
        self.compiled = self.core.compile_model(self.network, "CPU", wanted)
        self.request = self.compiled.create_infer_request()

    def call(self) -> None:
        self.results = self.request.infer(self.arrays, share_inputs=True, share_outputs=True)

    def outputs(self) -> dict:
        self.found = [self.results[i] for i in range(len(self.names["outputs"]))]
        return super().outputs()

    def version(self) -> str:
        return self.openvino.__version__

    def threads_seen(self) -> int:
        return int(self.compiled.get_property("INFERENCE_NUM_THREADS"))

    def dtype_seen(self) -> str:
        kind = self.compiled.get_property("INFERENCE_PRECISION_HINT")
        return {"f32": "float32", "bf16": "bfloat16"}.get(kind.to_string(), kind.to_string())

    def flags(self) -> dict[str, Any]:
        return {"streams": int(self.compiled.get_property("NUM_STREAMS"))}


if __name__ == "__main__":
    serve({"openvino": OpenVino})
