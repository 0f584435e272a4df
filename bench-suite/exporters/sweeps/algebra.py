"""Products and systems of matrices over empty, single, odd and prime sizes."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from .configuration import Configuration, Input

LARGEST = 150
EQUATIONS = {
    "ij,jk->ik": ((3, 5), (5, 2)),
    "bij,bjk->bik": ((2, 3, 5), (2, 5, 1)),
    "bij,bkj->bik": ((2, 1, 7), (2, 3, 7)),
    "bihd,bjhd->bhij": ((1, 3, 2, 5), (1, 2, 2, 5)),
    "bhij,bjhd->bihd": ((1, 2, 3, 2), (1, 2, 2, 3)),
    "i,j->ij": ((3,), (5,)),
    "ij,ij->": ((3, 5), (3, 5)),
    "ij,j->i": ((0, 5), (5,)),
    "ij,kj->ki": ((3, 0), (2, 0)),
    "abc->cab": ((2, 3, 5),),
    "abc->b": ((2, 3, 5),),
    "ii->i": ((7, 7),),
    "ii": ((5, 5),),
    "bii->b": ((3, 2, 2),),
    "ij,jk,kl->il": ((2, 3), (3, 5), (5, 1)),
    "i,i,i->i": ((7,), (7,), (7,)),
    "i,j,k->kji": ((2,), (3,), (5,)),
    "ba,cb": ((2, 3), (5, 2)),
    "ijj,k->ik": ((2, 3, 3), (2,)),
}


def configurations() -> list[Configuration]:
    return _products() + _equations() + _dense() + _systems()


def _products() -> list[Configuration]:
    found = []
    for m, k, n in product((0, 1, 3, 7, 13), repeat=3):
        if m * n + m * k + k * n <= LARGEST:
            found.append(Configuration("a @ b", torch.matmul, {"a": Input((m, k)), "b": Input((k, n))}))
    batched = (
        ((2, 3, 5), (2, 5, 1)),
        ((3, 1, 7), (7, 2)),
        ((2, 5), (3, 5, 2)),
        ((2, 1, 2, 3), (1, 3, 3, 2)),
        ((0, 2, 3), (0, 3, 2)),
    )
    found += [Configuration("a @ b", torch.matmul, {"a": Input(a), "b": Input(b)}) for a, b in batched]
    for n in (1, 5, 7):
        found.append(Configuration("trace(x)", torch.trace, {"x": Input((n, n))}))
    for m, n in ((0, 3), (1, 1), (5, 7)):
        found.append(Configuration("outer(a, b)", torch.outer, {"a": Input((m,)), "b": Input((n,))}))
    return found


def _equations() -> list[Configuration]:
    found = []
    for equation, shapes in EQUATIONS.items():
        names = "abcd"[: len(shapes)]
        inputs = {name: Input(shape) for name, shape in zip(names, shapes, strict=True)}

        def compute(*given: Tensor, equation: str = equation) -> Tensor:
            return torch.einsum(equation, *given)

        found.append(Configuration(f'einsum("{equation}", {", ".join(names)})', compute, inputs))
    return found


def _dense() -> list[Configuration]:
    found = []
    for rows, n, units in product((0, 1, 5), (1, 3, 7), (1, 2, 5)):
        found.append(
            Configuration(
                "unit(x)",
                lambda x, w, b: F.linear(x, w.T, b),
                {"x": Input((rows, n))},
                f"dense({units})",
                {"w": Input((n, units)), "b": Input((units,))},
            )
        )
    found.append(
        Configuration(
            "unit(x)",
            lambda x, w: F.linear(x, w.T),
            {"x": Input((2, 3, 5))},
            "dense(3, bias: false)",
            {"w": Input((5, 3))},
        )
    )
    return found


def _systems() -> list[Configuration]:
    found = []
    for n in (1, 2, 3, 5, 7):
        for lead in ((), (2,)):
            x = Input((*lead, n, n))
            # Far from singular only after an exchange of rows.
            moved = f"x + {n} * flip(eye({n}), axis: 0)"
            found.append(
                Configuration(f"inverse({moved})", lambda x, n=n: torch.linalg.inv(_moved(x, n)), {"x": x})
            )
            found.append(
                Configuration(f"det({moved})", lambda x, n=n: torch.linalg.det(_moved(x, n)), {"x": x})
            )
            definite = f'einsum("{"ij,kj->ik" if not lead else "bij,bkj->bik"}", x, x) + {n} * eye({n})'
            found.append(
                Configuration(
                    f"cholesky({definite})",
                    lambda x, n=n: torch.linalg.cholesky(x @ x.mT + n * torch.eye(n, dtype=x.dtype)),
                    {"x": x},
                )
            )
            for lower in (True, False):
                word = "" if lower else ", lower: false"
                found.append(
                    Configuration(
                        f"solve_triangular(x + {n} * eye({n}), b{word})",
                        lambda x, b, n=n, lower=lower: torch.linalg.solve_triangular(
                            x + n * torch.eye(n, dtype=x.dtype), b, upper=not lower
                        ),
                        {"x": x, "b": Input((*lead, n, 3))},
                    )
                )
    return found


def _moved(x: Tensor, n: int) -> Tensor:
    return x + n * torch.eye(n, dtype=x.dtype).flip(0)
