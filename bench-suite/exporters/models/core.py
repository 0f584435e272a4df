"""A network as a reference: its module in PyTorch, our names of its weights, and what is kept of it.

Of each network, computed in f64 and in f32 from weights and inputs that f32 holds exactly:

weights.safetensors    weights and states under our names (f32)
arrays.npz             `image`, …: the first batch, `image.1` the next; `f64.logits`, …: outputs of the first
gradients.safetensors  of the loss of the first batch, as training computes it (f64)
reference.json         how `dlc` is asked for it; the loss of the first batch, and of each training step
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as safetensors
from torch import Tensor, nn, optim

from ..case import PRECISIONS, Draws, Tensors, held

DATA = Path(__file__).resolve().parents[3] / "models" / "data"
# What the parameters of each kind of layer are called here.
SLOTS: tuple[tuple[tuple[type, ...], dict[str, str]], ...] = (
    (
        (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding),
        {"weight": "w", "bias": "b"},
    ),
    (
        (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm),
        {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"},
    ),
    # Ours have one bias, so the second one of PyTorch stays at 0.
    (
        (nn.LSTM,),
        {
            f"{theirs}_l{i}": f"{f'lstm_{i}' if i else 'lstm'}.cell.{ours}" if ours else None
            for i in range(2)
            for theirs, ours in (
                ("weight_ih", "w_x"),
                ("weight_hh", "w_h"),
                ("bias_ih", "b"),
                ("bias_hh", None),
            )
        },
    ),
)
DENSE = {nn.Linear: ("weight",), nn.LSTM: ("weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1")}


@dataclass
class Layered:
    """`module` takes `inputs` in this order and gives one tensor, or a tuple, for `outputs`.

    `layers` maps paths of modules to our paths of instances; a module's own parameters and buffers keep their
    names, unless its `slots` say otherwise; dense weights are transposed. What `layers` does not name is an
    error; None is for what another path names. `loss` is of the outputs, and of the inputs and what else the
    data has.
    """

    name: str
    module: nn.Module
    layers: dict[str, str | None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    loss: Callable[[Tensors, Tensors], Tensor]


@dataclass
class Network(Layered):
    """What is kept of it besides: the batches that it is trained on, and how."""

    file: str
    batches: list[Tensors]
    optimizer: Callable[[list[nn.Parameter]], optim.Optimizer]
    schedule: Callable[[optim.Optimizer, int], optim.lr_scheduler.LRScheduler] | None = None
    # Before each forward pass, to set draws: the module, number of the step, rows of the batch.
    before: Callable[[nn.Module, int, int], None] | None = None
    # Normal draws differ between builds: then each precision has a reference of its own, with its draws.
    precisions: tuple[str, ...] = ("f64", "f32")
    # Bound on the norm of all gradients together.
    clip: float | None = None
    # Which model of the file, what `--set` gives, and what changes in its text.
    model: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    steps: int = 50
    # How often PyTorch's own curve in f32 is repeated from weights that differ in their last place.
    repetitions: int = 8
    # Small enough that the definition, which is slow, is held against it as well.
    interpret: bool = True


def write(network: Network, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    named = names(network)
    save(folder / "weights.safetensors", {ours: stored(x).float() for ours, x in named.items()})
    arrays: dict[str, np.ndarray] = {}
    for i, batch in enumerate(network.batches):
        for n, x in batch.items():
            arrays[f"{n}.{i}" if i else n] = (x.float() if x.is_floating_point() else x).numpy()
    losses: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    for precision, dtype in PRECISIONS.items():
        module = copy.deepcopy(network.module).to(dtype)
        batches = [cast(batch, dtype) for batch in network.batches]
        with torch.no_grad():
            prepare(network, module, batches[0], 0)
            for n, y in outputs(network, module.eval(), batches[0]).items():
                if y.numel() > 1 and y.std() == 0:
                    raise ValueError(f"{network.name}: `{n}` is the same everywhere, so it shows nothing")
                arrays[f"{precision}.{n}"] = y.numpy()
        losses[precision], found = differentiated(network, module, batches[0])
        if precision == "f64":
            save(folder / "gradients.safetensors", found)
        curves[precision] = curve(network, module.train(), batches)
    finite = [*arrays.values(), np.array(list(curves.values()))]
    if not all(np.isfinite(x).all() for x in finite):
        raise ValueError(f"{network.name}: results that are not finite")
    np.savez_compressed(folder / "arrays.npz", **arrays)
    entry = {
        **request(network),
        "inputs": list(network.batches[0]),
        "outputs": list(network.outputs),
        "batches": len(network.batches),
        "precisions": list(network.precisions),
        "interpret": network.interpret,
        "torch": torch.__version__,
        "loss": losses,
        "curve": curves,
        "spread": spread(network, curves),
    }
    (folder / "reference.json").write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n")


def request(network: Network) -> dict:
    """How `dlc` is asked for the network, and how large it is."""
    return {
        "file": network.file,
        "model": network.model,
        "settings": network.settings,
        "replace": network.replace,
        "parameters": parameters(network.module),
    }


def curve(network: Network, module: nn.Module, batches: list[Tensors]) -> list[float]:
    optimizer = network.optimizer(list(module.parameters()))
    schedule = network.schedule(optimizer, network.steps) if network.schedule else None
    losses = []
    for step in range(network.steps):
        optimizer.zero_grad()
        loss = train_loss(network, module, batches[step % len(batches)], step)
        loss.backward()
        if network.clip:
            nn.utils.clip_grad_norm_(module.parameters(), network.clip)
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.item())
    return losses


def spread(network: Network, curves: dict[str, list[float]]) -> list[float]:
    """How far PyTorch's curve in f32 is from that in f64 at most: the plain one, and then its repetitions.

    One run says little: where rounding moves an activation across the corner of a `relu`, the gradient jumps,
    and whether it happens is chance.
    """
    batches = [cast(batch, torch.float32) for batch in network.batches]
    found = [curves["f32"]]
    for repetition in range(network.repetitions):
        module = copy.deepcopy(network.module).double()
        draws = Draws(f"{network.name} repetition {repetition}")
        with torch.no_grad():
            for x in module.parameters():
                x.mul_(1 + draws.uniform(-(2.0**-24), 2.0**-24, *x.shape))
        found.append(curve(network, module.float().train(), batches))
    exact = np.array(curves["f64"])
    return [float(np.abs(np.array(losses) - exact).max()) for losses in found]


def differentiated(network: Network, module: nn.Module, batch: Tensors) -> tuple[float, Tensors]:
    """The loss of a batch and its gradients under our names, as training computes them."""
    module = copy.deepcopy(module).train()
    loss = train_loss(network, module, batch, 0)
    loss.backward()
    slots = names(network, module)
    return loss.item(), {n: transposed(x, x.grad) for n, x in slots.items() if x.requires_grad}


def train_loss(network: Network, module: nn.Module, batch: Tensors, step: int) -> Tensor:
    prepare(network, module, batch, step)
    return network.loss(outputs(network, module, batch), batch)


def prepare(network: Network, module: nn.Module, batch: Tensors, step: int) -> None:
    if network.before:
        network.before(module, step, len(next(iter(batch.values()))))


def outputs(network: Layered, module: nn.Module, batch: Tensors) -> Tensors:
    y = module(*(batch[n] for n in network.inputs))
    return dict(zip(network.outputs, y if isinstance(y, tuple) else (y,), strict=True))


def parameters(module: nn.Module) -> int:
    return sum(x.numel() for x in module.parameters() if x.requires_grad)


def names(network: Layered, module: nn.Module | None = None) -> dict[str, Tensor]:
    """Parameters and states by our names."""
    found: dict[str, Tensor] = {}
    for path, part in (module or network.module).named_modules():
        for slot, x in own(part):
            if path and path not in network.layers:
                raise ValueError(f"{network.name}: no name for {path}.{slot}")
            ours = network.layers[path] if path else ""
            if ours is None:
                continue
            known = next((slots for kinds, slots in SLOTS if isinstance(part, kinds)), {})
            slots: dict[str, str | None] = getattr(part, "slots", known)
            own_name = slots.get(slot, slot)
            if own_name is None:
                continue
            name = f"{ours}.{own_name}".lstrip(".")
            if name in found:
                raise ValueError(f"{network.name}: two weights are called {name}")
            if slot in DENSE.get(type(part), ()):
                x.dense = True
            found[name] = x
    return found


def own(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Its parameters and buffers that are no counters, without those of its parts."""
    yield from part.named_parameters(recurse=False)
    for slot, x in part.named_buffers(recurse=False):
        if slot != "num_batches_tracked" and slot not in part._non_persistent_buffers_set:
            yield slot, x


def stored(x: Tensor) -> Tensor:
    return transposed(x, x.detach())


def transposed(like: Tensor, x: Tensor) -> Tensor:
    return x.T if getattr(like, "dense", False) else x


def cast(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {n: (x.to(dtype) if x.is_floating_point() else x).clone() for n, x in tensors.items()}


def save(path: Path, tensors: dict[str, Tensor]) -> None:
    path.write_bytes(safetensors({n: np.array(x.numpy(), order="C") for n, x in tensors.items()}))


def agrees_with_torchvision(network: Network, model: str) -> None:
    """Where it is installed, that network of torchvision with our weights computes the same."""
    try:
        from torchvision.models import get_model
    except ImportError:
        return
    theirs = get_model(model).double()
    theirs.load_state_dict(network.module.state_dict())
    for training in (False, True):
        # Dropout is drawn anew by each call.
        both = [copy.deepcopy(module).train(training) for module in (network.module, theirs)]
        for part in both[1].modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        with torch.no_grad():
            ours, wanted = (module(network.batches[0][network.inputs[0]]) for module in both)
        if parameters(theirs) != parameters(network.module) or not torch.allclose(ours, wanted, rtol=1e-10):
            raise ValueError(f"{network.name} is not torchvision's {model}")
    print(f"{network.name} is torchvision's {model}, {parameters(theirs)} parameters")


def filled(module: nn.Module, seed: str, lift: float = 0.0) -> nn.Module:
    """In f64, with values that f32 holds: matrices spread by their fans, the rest near what `init` gives.

    Running moments differ from those of any batch, so that mixing them up shows. `lift` is added to biases of
    norms: among the millions of activations of a large network some always lie so near the corner of a `relu`
    that rounding decides their side, unless most are lifted off it. Small networks keep their corners.
    """
    draws = Draws(seed)
    module = module.double()
    with torch.no_grad():
        for _, part in module.named_modules():
            norm = isinstance(part, SLOTS[1][0])
            for slot, x in own(part):
                if x.dim() >= 2:
                    receptive = x[0, 0].numel()
                    limit = (6 / ((x.shape[0] + x.shape[1]) * receptive)) ** 0.5
                    x.copy_(draws.uniform(-limit, limit, *x.shape))
                elif (norm and slot == "weight") or slot == "running_var":
                    x.copy_(draws.uniform(0.5, 1.5, *x.shape))
                else:
                    x.copy_(draws.uniform(-0.1, 0.1, *x.shape))
                    if norm and slot == "bias":
                        x.copy_(held(x + lift))
    return module


__all__ = [
    "DATA",
    "Draws",
    "Layered",
    "Network",
    "Tensors",
    "agrees_with_torchvision",
    "filled",
    "held",
    "parameters",
    "write",
]
