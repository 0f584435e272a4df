"""One arm of a measurement: `run.py` starts it as a process, gives it a task in JSON and reads its samples.

Every arm first computes what the task asks for once, so that the arms can be compared, and is timed
after that. A sample is a pair: seconds by the clock, and seconds of processor time over all threads.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

SUITE = Path(__file__).resolve().parent
BATCH = 64
LEARNING_RATE = 3e-3
EPOCHS = 20
Sample = tuple[float, float]


@dataclass
class Task:
    """`items` are shapes `[m, n, k]` of `gemm`, batches `[n]` of `infer`, nothing for `epoch`.

    `builds` names, for each item, the folder of what dlc compiled for it.
    """

    kind: str
    arm: str
    threads: int
    items: list[list[int]]
    output: str
    builds: list[str] = field(default_factory=list)
    samples: int = 11
    seconds: float = 0.03

    def text(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    if task.kind == "epoch":
        outputs, timed = epoch(task)
    else:
        outputs, timed = calls(task)
    np.savez(task.output, **outputs)
    print(json.dumps(timed))


def calls(task: Task) -> tuple[dict[str, np.ndarray], list[list[Sample]]]:
    """Samples of each item, in seconds a call."""
    outputs, timed = {}, []
    for i, item in enumerate(task.items):
        make = {"gemm": gemm, "infer": infer}[task.kind]
        call, result = make(task, i, item)
        call()
        outputs[str(i)] = np.array(result())
        timed.append(time_calls(call, task.samples, task.seconds))
    return outputs, timed


def time_calls(call: Callable[[], object], samples: int, seconds: float) -> list[Sample]:
    """Each sample is the mean of as many calls as fill `seconds`."""
    start = time.perf_counter()
    repeats = 0
    while time.perf_counter() - start < seconds:
        call()
        repeats += 1
    found = []
    for _ in range(samples):
        wall, busy = watched(lambda: [call() for _ in range(repeats)])
        found.append((wall / repeats, busy / repeats))
    return found


def watched(work: Callable[[], object]) -> Sample:
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def gemm(task: Task, i: int, item: list[int]) -> tuple[Callable[[], object], Callable[[], np.ndarray]]:
    m, n, k = item
    draws = np.random.default_rng(0)
    a, b = draws.standard_normal((m, k), np.float32), draws.standard_normal((k, n), np.float32)
    if task.arm == "pytorch":
        torch = pytorch(task.threads)
        left, right, c = torch.from_numpy(a), torch.from_numpy(b), torch.empty(m, n)
        return lambda: torch.mm(left, right, out=c), c.numpy
    artifact = compiled(task, i)
    call = artifact.bind("run", {"a": a, "b": b}, {"m": m, "n": n, "k": k})
    return call, lambda: call.outputs["c"]


def infer(task: Task, i: int, item: list[int]) -> tuple[Callable[[], object], Callable[[], np.ndarray]]:
    images, _, weights = digits()
    batch = np.ascontiguousarray(images[: item[0]])
    if task.arm == "pytorch":
        torch = pytorch(task.threads)
        torch.set_grad_enabled(False)
        network = torch_digits(weights, dropout=0.0).eval()
        x = torch.from_numpy(batch)
        return lambda: network(x), lambda: network(x).numpy()
    artifact = compiled(task, i)
    artifact.load(write_digits_weights(task, weights))
    call = artifact.bind("run", {"image": batch}, {"batch": item[0]})
    return call, lambda: call.outputs["logits"]


def epoch(task: Task) -> tuple[dict[str, np.ndarray], list[list[Sample]]]:
    """The losses of an epoch without dropout, in the file's order; samples of epochs with it, shuffled."""
    images, labels, weights = digits()
    train = round(0.8 * len(images) - 0.5)
    images, labels = images[:train], labels[:train]
    steps = EPOCHS * -(-train // BATCH)
    order = np.random.default_rng(0)
    make = torch_epochs if task.arm == "pytorch" else dlc_epochs
    losses = make(task, 0, images, labels, weights, steps)(np.arange(train))
    run = make(task, 1, images, labels, weights, steps)
    run(np.arange(train))
    found = []
    for _ in range(task.samples):
        permutation = order.permutation(train)
        found.append(watched(lambda order=permutation: run(order)))
    return {"0": np.array(losses)}, [found]


Epoch = Callable[[np.ndarray], list[float]]


def torch_epochs(
    task: Task, part: int, images: np.ndarray, labels: np.ndarray, weights: dict[str, np.ndarray], steps: int
) -> Epoch:
    torch = pytorch(task.threads)
    network = torch_digits(weights, dropout=0.2 if part else 0.0).train()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x, y = torch.from_numpy(images), torch.from_numpy(labels).long()

    def run(order: np.ndarray) -> list[float]:
        rows = torch.from_numpy(order)
        losses = []
        for batch in rows.split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        return losses

    return run


def dlc_epochs(
    task: Task, part: int, images: np.ndarray, labels: np.ndarray, weights: dict[str, np.ndarray], steps: int
) -> Epoch:
    artifact = compiled(task, part, steps)
    artifact.load(write_digits_weights(task, weights))
    bound: dict[int, object] = {}

    def run(order: np.ndarray) -> list[float]:
        losses = []
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            if len(rows) not in bound:
                bound[len(rows)] = artifact.bind("step", {"image": images[rows], "label": labels[rows]})
            call = bound[len(rows)]
            np.take(images, rows, 0, out=call.inputs["image"])
            np.take(labels, rows, 0, out=call.inputs["label"])
            call()
            losses.append(float(call.outputs["loss"]))
        return losses

    return run


def pytorch(threads: int) -> object:
    import torch

    torch.set_num_threads(threads)
    return torch


def compiled(task: Task, i: int, total_steps: int = 0) -> object:
    from dlc import Artifact

    return Artifact(Path(task.builds[i]), threads=task.threads, total_steps=total_steps)


def digits() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Images, labels, and the weights that the references begin with."""
    table = np.loadtxt(SUITE.parent / "models" / "data" / "digits.csv", delimiter=",", dtype=np.int32)
    stored = load_file(SUITE / "references" / "models" / "digits.safetensors")
    weights = {n.removeprefix("weight/"): x for n, x in stored.items() if n.startswith("weight/")}
    return table[:, :64].reshape(-1, 8, 8).astype(np.float32), np.ascontiguousarray(table[:, 64]), weights


def write_digits_weights(task: Task, weights: dict[str, np.ndarray]) -> Path:
    from dlc import write_weights

    return write_weights(Path(task.output).with_suffix(".safetensors"), weights)


def torch_digits(weights: dict[str, np.ndarray], dropout: float) -> object:
    """The model of `digits.model` as PyTorch users write it."""
    import torch
    from torch import nn

    class Scale(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, None] / 16

    def block(n: int, channels: int) -> list[nn.Module]:
        return [nn.Conv2d(n, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]

    network = nn.Sequential(
        Scale(), *block(1, 16), *block(16, 32), nn.Flatten(), nn.Dropout(dropout), nn.Linear(128, 10)
    )
    state = {}
    for name, at in (("conv_block", 1), ("conv_block_1", 5)):
        state[f"{at}.weight"], state[f"{at}.bias"] = weights[f"{name}.conv2d.w"], weights[f"{name}.conv2d.b"]
        for theirs, ours in (
            ("weight", "scale"),
            ("bias", "bias"),
            ("running_mean", "mean"),
            ("running_var", "var"),
        ):
            state[f"{at + 1}.{theirs}"] = weights[f"{name}.batch_norm.{ours}"]
        state[f"{at + 1}.num_batches_tracked"] = np.array(0)
    state["11.weight"], state["11.bias"] = weights["dense.w"].T, weights["dense.b"]
    network.load_state_dict({n: torch.tensor(np.ascontiguousarray(x)) for n, x in state.items()})
    return network


if __name__ == "__main__":
    main()
