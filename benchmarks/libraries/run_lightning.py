"""pytorch-lightning: its `ModelPruning` callback as its documentation calls it, with the lottery ticket option, at the
end of each second epoch."""

import logging
import warnings

import pytorch_lightning as pl
import torch
from measured import BIASES, EPOCHS, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record
from pytorch_lightning.callbacks import Callback, ModelPruning
from torch.nn import functional
from with_torch import LeNet, arrays, loader, optimizer_steps

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")
CALL = f"ModelPruning('l1_unstructured', amount={RATE}, apply_pruning=..., use_lottery_ticket_hypothesis=True)"


class Module(pl.LightningModule):
    def __init__(self, net: LeNet) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LR)


def after(epoch: int) -> bool:
    """Whether a cut follows this epoch."""
    return epoch % EPOCHS == EPOCHS - 1 and epoch < EPOCHS * (ROUNDS + 1) - 1


def masks_of(net: LeNet) -> dict[str, torch.Tensor]:
    return {n[:-5]: x for n, x in net.state_dict().items() if n.endswith("_mask")}


def used(net: LeNet) -> dict[str, torch.Tensor]:
    state, masks = net.state_dict(), masks_of(net)
    return {n: state[f"{n}_orig"] * masks[n] if n in masks else state[n] for n in (*WEIGHTS, *BIASES)}


class Before(Callback):
    """Looks at a round's end, before the cut; saves a checkpoint after the last one."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Module) -> None:
        last = trainer.current_epoch == EPOCHS * (ROUNDS + 1) - 1
        if after(trainer.current_epoch) or last:
            found.end(arrays(used(module.net)))
        if last:
            trainer.save_checkpoint("last.ckpt")
            read = torch.load("last.ckpt", weights_only=False)["state_dict"]
            form = "mask" if any(n.endswith("_mask") for n in read) else "zeros"
            found.file(form, None, arrays({n: read[f"net.{n}"] for n in WEIGHTS}), found.rounds[-1]["kept"])


class After(Callback):
    """Looks at a round's beginning: after the cut and the rewinding."""

    def on_train_start(self, trainer: pl.Trainer, module: Module) -> None:
        self._begin(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Module) -> None:
        if after(trainer.current_epoch):
            self._begin(trainer, module)

    def _begin(self, trainer: pl.Trainer, module: Module) -> None:
        steps = optimizer_steps(trainer.optimizers[0])
        found.begin(arrays(used(module.net)), arrays(masks_of(module.net)), steps)


record = Record(
    library="pytorch-lightning",
    call=CALL,
    optimizer="Adam of the one fit",
    packages=["pytorch-lightning", "torch"],
)
for trial in range(TRIALS):
    found, batches = record.trial(), loader(record.given, trial)
    pruning = ModelPruning("l1_unstructured", amount=RATE, apply_pruning=after, use_lottery_ticket_hypothesis=True)
    trainer = pl.Trainer(
        max_epochs=EPOCHS * (ROUNDS + 1),
        accelerator="cpu",
        callbacks=[Before(), pruning, After()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(LeNet(found.initial)), batches)
record.write()
