"""torch.nn.utils.prune by hand: `l1_unstructured` on each layer's weight after each round, as its tutorial prunes, and
a deep copy of the first state dict to go back to. Rewinding is not in its documentation; this is the plain way."""

import copy

import torch
from measured import BIASES, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record
from torch.nn.utils import prune
from with_torch import LeNet, arrays, loader, optimizer_steps, train

record = Record(
    library="torch.nn.utils.prune",
    call=f"prune.l1_unstructured(layer, 'weight', amount={RATE}) each round, own rewinding",
    optimizer="Adam, new each round",
    packages=["torch"],
)
for trial in range(TRIALS):
    found, batches = record.trial(), loader(record.given, trial)
    model = LeNet(found.initial)
    initial = copy.deepcopy(model.state_dict())
    layers = {"fc1": model.fc1, "fc2": model.fc2, "out": model.out}
    for round in range(ROUNDS + 1):
        if round:
            for name, layer in layers.items():
                prune.l1_unstructured(layer, "weight", amount=RATE)
                with torch.no_grad():
                    layer.weight_orig.copy_(initial[f"{name}.weight"])
                    layer.bias.copy_(initial[f"{name}.bias"])
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        state = model.state_dict()
        masks = {n: state[f"{n}_mask"] for n in WEIGHTS} if round else None
        begin = {n: state[f"{n}_orig"] * masks[n] if round and n in WEIGHTS else state[n] for n in (*WEIGHTS, *BIASES)}
        found.begin(arrays(begin), arrays(masks) if masks else None, optimizer_steps(optimizer))
        train(model, batches, optimizer)
        state = model.state_dict()
        found.end(
            arrays(
                {n: state[f"{n}_orig"] * masks[n] if round and n in WEIGHTS else state[n] for n in (*WEIGHTS, *BIASES)}
            )
        )
    torch.save(model.state_dict(), "state.pt")
    read = torch.load("state.pt")
    found.file("mask", None, arrays({n: read[f"{n}_mask"] for n in WEIGHTS}), found.rounds[-1]["kept"])
record.write()
