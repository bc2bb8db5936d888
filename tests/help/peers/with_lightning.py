"""pytorch-lightning: `ModelPruning` in a fit, and its checkpoints: as it goes (`theirs.ckpt`), and merged."""

import logging
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from common import loader, main, net
from pytorch_lightning.callbacks import ModelPruning
from torch import Tensor, nn
from torch.nn.utils import prune

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


class Module(pl.LightningModule):
    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.net = inner or net()

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def trainer(*callbacks: pl.Callback) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=3, accelerator="cpu", callbacks=[*callbacks], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


class Saving(pl.Callback):
    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.file)


def make(folder: Path, module: nn.Module) -> nn.Module:
    inner = Module(module)
    pruning = ModelPruning(
        "l1_unstructured", parameters_to_prune=[(module[0], "weight"), (module[2], "weight")], amount=0.3,
        make_pruning_permanent=False,
    )  # fmt: skip
    fit = trainer(pruning, Saving(folder / "during.ckpt"))
    fit.fit(inner, loader())
    fit.save_checkpoint(folder / "theirs.ckpt")
    pruning.make_pruning_permanent(inner)
    fit.save_checkpoint(folder / "merged.ckpt")
    return module


def take(given: dict[str, Tensor]) -> nn.Module:
    """Into a module that torch pruned, as `ModelPruning` leaves it, and a fit from there, in which masks hold."""
    module = Module()
    for layer in (module.net[0], module.net[2]):
        prune.identity(layer, "weight")
    module.load_state_dict({f"net.{n}": t for n, t in given.items()})
    trainer().fit(module, loader())
    module.load_state_dict({f"net.{n}": t for n, t in given.items()}, strict=True)
    return module.net


main(make, take)
