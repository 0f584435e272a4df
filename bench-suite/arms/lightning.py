"""Lightning: the training step of its `Trainer`, on a thread of its own that waits for each call."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from protocol import serve

from arms.pytorch import PyTorch

if TYPE_CHECKING:
    import torch


class Lightning(PyTorch):
    framework, package, install = "Lightning", "lightning", "pip install lightning torch"
    modes: ClassVar[tuple[str, ...]] = ("train",)

    def begin(self) -> None:
        super().begin()
        import lightning

        self.lightning = lightning
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")

    def load(self) -> None:
        super().load()
        self.wanted, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.fault: BaseException | None = None
        trainer = self.lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        self.thread = threading.Thread(target=self.fit, args=(trainer,), daemon=True)
        self.thread.start()

    def fit(self, trainer: Any) -> None:  # noqa: ANN401
        try:
            self.torch.set_num_threads(self.cell.threads)
            trainer.fit(module(self), Batches(self))
        except BaseException as fault:
            self.fault = fault
            self.done.release()

    def call(self) -> None:
        self.calls(1)

    def calls(self, count: int) -> None:
        """The trainer's thread has them all before it begins, and this one waits for the last."""
        self.wanted.release(count)
        for _ in range(count):
            self.done.acquire()
            if self.fault is not None:
                raise self.fault

    def version(self) -> str:
        return f"{self.lightning.__version__}, torch {self.torch.__version__}"


class Batches:
    """The one batch, again and again; what the network needs of it is there already."""

    def __init__(self, arm: Lightning) -> None:
        self.arm = arm

    def __len__(self) -> int:
        """Without a length it would ask for the next batch before it takes the step with this one."""
        return 1 << 40

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            self.arm.wanted.acquire()
            yield self.arm.built.given


def module(arm: Lightning) -> Any:  # noqa: ANN401
    class Task(arm.lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = arm.built.module

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return arm.built.objective(self.network(*(batch[name] for name in arm.built.network.inputs)))

        def on_train_batch_end(self, outputs: dict[str, torch.Tensor], *_: object) -> None:
            arm.found = outputs["loss"]
            arm.done.release()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return arm.optimizer

    return Task()


if __name__ == "__main__":
    serve({"lightning": Lightning})
