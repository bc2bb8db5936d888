"""torch.ao.pruning by hand: a `WeightNormSparsifier` of single weights, `prepare`, then `step` after each round with
the level of the round, as its documentation says; a deep copy of the first state dict to go back to. Rewinding is not
in its documentation; this is the plain way."""

import copy

import torch
from measured import BIASES, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record
from torch.ao.pruning import WeightNormSparsifier
from with_torch import LeNet, arrays, loader, optimizer_steps, train

record = Record(
    library="torch.ao.pruning",
    call="WeightNormSparsifier(sparsity_level=1 - 0.8**round, sparse_block_shape=(1, 1), zeros_per_block=1).step() "
    "each round, own rewinding",
    optimizer="Adam, new each round",
    packages=["torch"],
)


def used(layers: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """Weights as the forward pass has them, and biases."""
    return {n: getattr(layers[n.split(".")[0]], n.split(".")[1]) for n in (*WEIGHTS, *BIASES)}


for trial in range(TRIALS):
    found, batches = record.trial(), loader(record.given, trial)
    model = LeNet(found.initial)
    initial = copy.deepcopy(model.state_dict())
    layers = {"fc1": model.fc1, "fc2": model.fc2, "out": model.out}
    sparsifier = WeightNormSparsifier(sparsity_level=0.0, sparse_block_shape=(1, 1), zeros_per_block=1)
    sparsifier.prepare(model, config=[{"tensor_fqn": n} for n in WEIGHTS])

    for round in range(ROUNDS + 1):
        if round:
            for group in sparsifier.groups:
                group["sparsity_level"] = 1 - (1 - RATE) ** round
            sparsifier.step()
            with torch.no_grad():
                for name, layer in layers.items():
                    layer.parametrizations.weight.original.copy_(initial[f"{name}.weight"])
                    layer.bias.copy_(initial[f"{name}.bias"])
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        masks = {f"{name}.weight": layer.parametrizations.weight[0].mask for name, layer in layers.items()}
        found.begin(arrays(used(layers)), arrays(masks), optimizer_steps(optimizer), (1 - RATE) ** round)
        train(model, batches, optimizer)
        found.end(arrays(used(layers)))
    kept = found.rounds[-1]["kept"]
    torch.save(model.state_dict(), "state.pt")
    read = torch.load("state.pt")
    found.file(
        "masked training", None, arrays({n: read[f"{n[:-6]}parametrizations.weight.original"] for n in WEIGHTS}), kept
    )
    sparsifier.squash_mask()
    torch.save(model.state_dict(), "state.pt")
    found.file("zeros", None, arrays({n: torch.load("state.pt")[n] for n in WEIGHTS}), kept)
record.write()
