"""Holds the runner's medians against loops as anyone writes them, in PyTorch and ONNX Runtime.

    python check_agreement.py                      # some minutes, on a quiet machine
    python check_agreement.py --out results/agreement.json

The loops know nothing of arms and their protocol. They run before and after `dlc bench`, in fresh processes,
on three models and batches of one row. A median may be off by 5 %, or by what `dlc bench` finds between
identical arms in that cell, whichever is more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SUITE = Path(__file__).resolve().parent
MODELS = {"mlp": (1, 784), "lenet": (1, 28, 28), "resnet18": (1, 3, 32, 32)}
FRAMEWORKS = ("pytorch", "onnxruntime")
ALLOWED = 0.05
SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dlc", default=os.environ.get("DLC", SUITE.parent / "target" / "release" / "dlc"))
    parser.add_argument("--rounds", type=int, default=3, help="loops before and after")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--loop", nargs=3, metavar=("FRAMEWORK", "MODEL", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        print(loop(*options.loop))
        return
    rows = [row for model in MODELS for row in compare(options, model)]
    for row in rows:
        print(
            f"{row['model']:<9} {row['framework']:<12} runner {row['runner_s'] * 1e3:8.4f} ms  loop "
            f"{row['loop_s'] * 1e3:8.4f} ms  off {row['off']:6.1%}  allowed {row['allowed']:6.1%}"
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(any(abs(row["off"]) > row["allowed"] for row in rows))


def compare(options: argparse.Namespace, model: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "model.onnx"
        export(model, stored)
        found: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
        ours: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
        floors = []
        by_hand(options, model, stored, found)
        results = Path(folder) / "results.jsonl"
        against = ",".join(("dlc", *FRAMEWORKS))
        words = ["bench", "--models", model, "--against", against, "--mode", "infer", "--batch", "1"]
        words += ["--threads", "1", "--quiet", "--out", str(results)]
        subprocess.run([options.dlc, *words], check=True, stdout=subprocess.DEVNULL)
        by_hand(options, model, stored, found)
        for line in map(json.loads, results.read_text().splitlines()):
            if line["kind"] == "arm" and line["arm"] in FRAMEWORKS:
                ours[line["arm"]] += line["process_medians_s"]
            elif line["kind"] == "floor":
                floors.append(line["spread"])
    allowed = max(ALLOWED, statistics.median(floors))
    rows = []
    for framework in FRAMEWORKS:
        runner, plain = statistics.median(ours[framework]), statistics.median(found[framework])
        row = {"model": model, "framework": framework, "runner_s": runner, "loop_s": plain}
        rows.append(row | {"off": runner / plain - 1, "allowed": allowed})
    return rows


def by_hand(options: argparse.Namespace, model: str, stored: Path, found: dict[str, list[float]]) -> None:
    for _ in range(options.rounds):
        for framework in FRAMEWORKS:
            words = [sys.executable, __file__, "--loop", framework, model, str(stored)]
            found[framework].append(float(subprocess.check_output(words, text=True)))


def module(model: str) -> tuple[object, object]:
    """The network as PyTorch users have it, in inference, with weights as it begins, and an input."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    from arms.networks import NETWORKS

    network = NETWORKS[model]().module
    return network.eval(), torch.rand(MODELS[model])


def export(model: str, path: Path) -> None:
    import torch

    network, x = module(model)
    torch.onnx.export(network, (x,), path, dynamo=True, verbose=False)


def loop(framework: str, model: str, stored: str) -> float:
    if framework == "pytorch":
        import torch

        network, x = module(model)
        with torch.inference_mode():
            return timed(lambda: network(x))
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
    x = numpy.random.default_rng(0).random(MODELS[model], numpy.float32)
    given = {session.get_inputs()[0].name: x}
    return timed(lambda: session.run(None, given))


def timed(call: Callable[[], object]) -> float:
    """The median time of a call in a second of calls, after as many again to warm up."""
    for _ in range(2):
        samples, start = [], time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            before = time.perf_counter()
            call()
            samples.append(time.perf_counter() - before)
    return statistics.median(samples)


if __name__ == "__main__":
    main()
