"""kd-lib: its `LotteryTicketsPruner`, called as its own test does. Its optimizer is fixed: Adam at 1e-3."""

import contextlib
import io

import torch
from KD_Lib.Pruning import LotteryTicketsPruner
from measured import EPOCHS, RATE, ROUNDS, TRIALS, WEIGHTS, Record
from torch.utils.data import DataLoader
from with_torch import LeNet, arrays, dataset, loader, optimizer_steps


class Watched(LotteryTicketsPruner):
    """Tells where a round begins and ends."""

    def finetune_model(self, *arguments: object, **named: object) -> None:
        found.begin(arrays(self.model.state_dict()), steps=optimizer_steps(self.optimizer))
        super().finetune_model(*arguments, **named)
        found.end(arrays(self.model.state_dict()))


record = Record(
    library="kd-lib",
    call=f"LotteryTicketsPruner(model, train_loader, test_loader).prune({ROUNDS + 1}, {EPOCHS}, "
    f"prune_percent={100 * RATE:.0f})",
    optimizer="Adam at 1e-3 (fixed), new each round",
    packages=["kd-lib", "torch"],
)
for trial in range(TRIALS):
    found, batches = record.trial(), loader(record.given, trial)
    test = DataLoader(dataset(record.given.test_images, record.given.test_labels), batch_size=1000)
    pruner = Watched(LeNet(found.initial), batches, test)
    with contextlib.redirect_stdout(io.StringIO()):
        pruner.prune(num_iterations=ROUNDS + 1, train_epochs=EPOCHS, save_models=True, prune_percent=100 * RATE)
    for round in range(1, ROUNDS + 1):
        read = arrays(torch.load(f"pruned_model_iteration_{round}.pt"))
        found.file("zeros", None, {n: read[n] for n in WEIGHTS}, found.rounds[round]["kept"])
record.write()
