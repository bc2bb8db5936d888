"""lth_core.own: the same torch module as for the other libraries, in the loop that prunes any module."""

from __future__ import annotations

import torch
from measured import BATCH, EPOCHS, LR, ROUNDS, TRIALS, WEIGHTS, Record
from with_torch import LeNet, arrays, optimizer_steps

from lth_core import own

record = Record(
    library="lth_core.own", call=f"own.run(experiment, rounds={ROUNDS}, ...)", optimizer="Adam, new each round",
    packages=["torch"],
)  # fmt: skip
for trial in range(TRIALS):
    found, trained = record.trial(), []

    def optimizer(parameters, found=found, trained=trained):
        """Called at the start of each network: looks at the end of the one before, and at the beginning of this one."""
        if trained:
            found.end(arrays(trained[-1]))
        made = torch.optim.Adam(parameters, lr=LR)
        trained.append(parameters.named)
        found.begin(arrays(parameters.named), steps=optimizer_steps(made))
        return made

    steps = EPOCHS * -(-55_000 // BATCH)
    experiment = own.Experiment(
        model=lambda found=found: LeNet(found.initial), train=record.given.train(trial), val=record.given.val(trial),
        test=(record.given.test_images, record.given.test_labels), optimizer=optimizer,
        rates={"fc1.weight": 0.2, "fc2.weight": 0.2, "out.weight": 0.1}, iterations=steps, batch_size=BATCH,
        eval_every=steps, seed=trial,
    )  # fmt: skip
    result = own.run(experiment, rounds=ROUNDS, trials=1, arms=["ticket"])
    found.end(arrays(trained[-1]))
    result.ticket(0, ROUNDS).save("ticket.safetensors")
    masks = own.load("ticket.safetensors").masks
    found.file("mask", None, arrays({n: masks[n] for n in WEIGHTS}), found.rounds[-1]["kept"])
record.write()
