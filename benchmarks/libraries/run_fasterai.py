"""fasterai: its `SparsifyCallback(lth=True)` in one fit, as in its tutorial on the hypothesis, with a schedule function
of our own (its tutorial on schedules) that removes 20% of what is left at each step."""

import contextlib
import io
from math import ceil
from pathlib import Path

import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fasterai.sparse.all import Schedule, SparsifyCallback, large_final
from measured import EPOCHS, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record
from torch import nn
from torch.utils.data import DataLoader
from with_torch import LeNet, arrays, dataset, loader


def geometric(start: float, end: float, at: float) -> float:
    """20% of what is left at each of ten equal steps."""
    return start + (end - start) * (1 - (1 - RATE) ** ceil(at * ROUNDS)) / (1 - (1 - RATE) ** ROUNDS)


def used(model: LeNet) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters())


class Before(Callback):
    """Looks at a round's end: before the batch whose step is preceded by a cut."""

    order = -1

    def before_batch(self) -> None:
        pct = round(self.pct_train, 3)
        cuts = ceil(ROUNDS * (pct - START) / (1 - START)) if pct >= START else 0
        if self.training and cuts > len(found.rounds) - 1:
            found.end(arrays(used(self.learn.model)))

    def after_fit(self) -> None:
        found.end(arrays(used(self.learn.model)))


class After(Callback):
    """Looks at a round's beginning: after the cut and the step that the weights are put back in."""

    order = 1

    def before_fit(self) -> None:
        self.pending = False
        found.begin(arrays(used(self.learn.model)))

    def before_batch(self) -> None:
        self.pending = self.pending or (self.training and sparsify.schedule.changed)

    def after_step(self) -> None:
        if self.pending:
            self.pending = False
            layers = {"fc1": self.learn.model.fc1, "fc2": self.learn.model.fc2, "out": self.learn.model.out}
            masks = {f"{name}.weight": layer._mask for name, layer in layers.items()}
            steps = max(int(s.get("step", 0)) for s in self.learn.opt.state.values()) - 1  # this one is part of the cut
            found.begin(arrays(used(self.learn.model)), arrays(masks), steps, 1 - sparsify.current_sparsity)


START = 1 / (ROUNDS + 1)
SPARSITY = 1 - (1 - RATE) ** ROUNDS
record = Record(
    library="fasterai",
    call="SparsifyCallback(0.89, 'weight', 'local', large_final, schedule, lth=True, layer_type=nn.Linear)",
    optimizer="fastai's Adam of the one fit",
    packages=["fasterai", "fastai", "torch"],
)
for trial in range(TRIALS):
    found = record.trial()
    val = DataLoader(dataset(*record.given.val(trial)), batch_size=1000)
    learn = Learner(
        DataLoaders(loader(record.given, trial), val), LeNet(found.initial), loss_func=nn.CrossEntropyLoss()
    )
    schedule = Schedule(geometric, start_pct=START)
    sparsify = SparsifyCallback(
        SPARSITY, "weight", "local", large_final, schedule, lth=True, save_tickets=True, layer_type=nn.Linear
    )
    for old in Path().glob("winning_ticket_*.pth"):
        old.unlink()
    with contextlib.redirect_stdout(io.StringIO()), learn.no_bar():
        learn.fit(EPOCHS * (ROUNDS + 1), LR, cbs=[sparsify, Before(), After()])
    for file in sorted(Path().glob("winning_ticket_*.pth"), key=lambda f: float(f.stem.split("_")[-1])):
        says = 1 - float(file.stem.split("_")[-1]) / 100
        read = torch.load(file, weights_only=False)
        kept = min((r["kept"] for r in found.rounds), key=lambda n: abs(n / found.rounds[0]["kept"] - says))
        found.file("zeros", round(says, 4), {n: used(read)[n].detach().numpy() for n in WEIGHTS}, kept)
record.write()
