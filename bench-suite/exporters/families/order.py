"""Orders, what is picked along an axis, running sums and products, parts that are replaced."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..case import Case, Draws, run_case, tensor

Running = Callable[[Tensor, int], Tensor]

SHAPES: dict[str, tuple[int, ...]] = {
    "one": (1,),
    "odd": (17,),
    "rows": (5, 131),
    "space": (3, 7, 4),
    "none": (0, 5),
}


def _sorting() -> list[Case]:
    found = []
    for label, shape in SHAPES.items():
        for axis in range(len(shape)):
            for way, descending in (("up", False), ("down", True)):
                name = f"{label}_{axis}_{way}"
                given = {"x": Draws(f"sort {name}").normal(*shape)}
                arguments = f"x, axis: {axis}, descending: {'true' if descending else 'false'}"

                def ordered(x: Tensor, axis: int = axis, down: bool = descending) -> tuple[Tensor, Tensor]:
                    return torch.sort(x, dim=axis, descending=down, stable=True)

                found.append(
                    run_case(f"sort_{name}", f"sort({arguments})", lambda x, f=ordered: f(x)[0], given)
                )
                # Equal elements keep their order.
                equals = {"x": torch.round(given["x"])}
                found.append(
                    run_case(
                        f"argsort_{name}",
                        f"argsort({arguments})",
                        lambda x, f=ordered: f(x)[1].to(torch.int32),
                        equals,
                    )
                )
    special = {"x": tensor([2.0, float("nan"), float("inf"), -0.0, float("nan"), 0.0, float("-inf"), 2.0])}
    for way, descending in (("up", False), ("down", True)):
        found.append(
            run_case(
                f"argsort_special_{way}",
                f"argsort(x, descending: {'true' if descending else 'false'})",
                lambda x, down=descending: torch.sort(x, descending=down, stable=True)[1].to(torch.int32),
                special,
            )
        )
    for k in (0, 1, 3, 11):
        given = {"x": Draws(f"top {k}").normal(4, 11)}
        found.append(
            run_case(
                f"top_{k}",
                "values",
                lambda x, k=k: torch.topk(x, k)[0],
                given,
                lines=(f"values, _ = top_k(x, {k})",),
            )
        )
        found.append(
            run_case(
                f"top_{k}_places",
                "places",
                lambda x, k=k: torch.topk(x, k)[1].to(torch.int32),
                given,
                lines=(f"_, places = top_k(x, {k})",),
            )
        )
    return found


def _running() -> list[Case]:
    found = []
    for label, shape in SHAPES.items():
        for axis in range(len(shape)):
            for way, reverse in (("forward", False), ("reversed", True)):
                name = f"{label}_{axis}_{way}"
                given = {"x": Draws(f"running {name}").uniform(-1.25, 1.25, *shape)}
                # A zero ends a product, and its derivative does not divide by it.
                with_zero = {"x": given["x"] * (given["x"].abs() > 0.1)}
                arguments = f"x, axis: {axis}, reverse: {'true' if reverse else 'false'}"
                for function, compute, inputs in (
                    ("cumsum", torch.cumsum, given),
                    ("cumprod", torch.cumprod, with_zero),
                ):

                    def run(
                        x: Tensor, f: Running = compute, axis: int = axis, back: bool = reverse
                    ) -> Tensor:
                        return torch.flip(f(torch.flip(x, [axis]), axis), [axis]) if back else f(x, axis)

                    found.append(run_case(f"{function}_{name}", f"{function}({arguments})", run, inputs))
    return found


def _picking() -> list[Case]:
    found = []
    for axis, places in ((0, (2, 7, 4)), (1, (3, 9, 4)), (2, (3, 7, 1))):
        draws = Draws(f"along {axis}")
        given = {"x": draws.normal(3, 7, 4), "i": draws.integers((3, 7, 4)[axis], *places)}
        found.append(
            run_case(
                f"take_along_{axis}",
                f"take_along(x, i, axis: {axis})",
                lambda x, i, axis=axis: torch.gather(x, axis, i.long()),
                given,
            )
        )

        def added(x: Tensor, i: Tensor, u: Tensor, axis: int = axis) -> Tensor:
            return torch.index_add(x, axis, i.long(), u)

        rows = draws.integers((3, 7, 4)[axis], 11)
        shape = [3, 7, 4]
        shape[axis] = 11
        given = {"x": given["x"], "i": rows, "u": draws.normal(*shape)}
        found.append(run_case(f"scatter_add_{axis}", f"scatter_add(x, i, u, axis: {axis})", added, given))
    for axis, start, length in ((0, 1, 2), (1, 0, 7), (1, 3, 3), (2, 4, 0)):
        draws = Draws(f"write {axis} {start}")
        shape = [3, 7, 4]
        shape[axis] = length
        given = {
            "x": draws.normal(3, 7, 4),
            "u": draws.normal(*shape),
            "t": torch.tensor(start, dtype=torch.int32),
        }

        def written(x: Tensor, u: Tensor, t: Tensor, axis: int = axis) -> Tensor:
            return torch.slice_scatter(x, u, axis, int(t), int(t) + u.shape[axis])

        found.append(
            run_case(f"write_{axis}_{start}_{length}", f"write(x, u, at: t, axis: {axis})", written, given)
        )
    return found


def cases() -> list[Case]:
    return _sorting() + _running() + _picking()
