"""Reference cases by topic, each a function that lists them."""

from collections.abc import Callable

from ..case import Case
from . import (
    attention,
    contraction,
    convolution,
    elementwise,
    losses,
    metrics,
    normalisation,
    optimizers,
    order,
    pooling,
    recurrent,
    reductions,
    schedules,
    shapes,
)

FAMILIES: dict[str, Callable[[], list[Case]]] = {
    "elementwise": elementwise.cases,
    "reductions": reductions.cases,
    "contraction": contraction.cases,
    "convolution": convolution.cases,
    "pooling": pooling.cases,
    "normalisation": normalisation.cases,
    "shapes": shapes.cases,
    "attention": attention.cases,
    "order": order.cases,
    "recurrent": recurrent.cases,
    "losses": losses.cases,
    "metrics": metrics.cases,
    "optimizers": optimizers.cases,
    "schedules": schedules.cases,
}
