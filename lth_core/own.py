"""Your own model and data: rounds, arms and trials in a plain torch loop, and the same tidy tables as everywhere here.

The engines in `train` and `sparse` train the papers' architectures fast. This module trains any `torch.nn.Module`, one
network at a time, and asks nothing of it but named parameters.

>>> import torch
>>> from lth_core import own
>>> x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
>>> y = (x[:, 0] * x[:, 1] > 0).long()
>>> experiment = own.Experiment(
...     model=lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)),
...     train=(x[:40], y[:40]), val=(x[40:50], y[40:50]), test=(x[50:], y[50:]),
...     optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
...     rates={"0.weight": 0.5, "2.weight": 0.25}, iterations=20, eval_every=10, batch_size=10)
>>> found = own.run(experiment, rounds=2, trials=2, arms=("ticket", "reinit"))
>>> len(found.cells)  # two trials of: the unpruned network, and two rounds of two arms
10
>>> found.ticket(trial=0, round=2).masks["0.weight"].sum().item()  # 32 weights, halved twice
8
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from lth_core import analyse, prune
from lth_core.data import SAMPLE
from lth_core.draws import generator
from lth_core.spec import UsageError

State = dict[str, Tensor]  # a module's state dict: parameters and buffers by name
Masks = dict[str, Tensor]  # parameter name -> bool of its shape, True = kept
Split = tuple[Tensor, Tensor]  # inputs (example, ...) and targets (example, ...)
ARMS = ("ticket", "reinit", "shuffle", "random_sparsity")
AT_ONCE = 2_000  # examples of an evaluation that go through the network together


def argmax_is_target(outputs: Tensor, targets: Tensor) -> Tensor:
    """Right answers of a classifier, `(example,)` bool, from `outputs` `(example, class)` and `targets` `(example,)`.

    >>> argmax_is_target(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1])).tolist()
    [True, False]
    """
    return outputs.argmax(1) == targets


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained and how. Everything random follows from `seed` and the trial.

    - `model()`: a new module with freshly drawn weights; torch's generator is seeded before each call
    - `train`, `val`, `test`: `(inputs, targets)`, first axis the example
    - `optimizer(parameters)`: a new optimizer; `schedule(optimizer)`: a new scheduler, stepped each iteration
    - `rates`: parameter name -> fraction of its surviving weights that a round removes; what is not named stays whole
    - `scope`: "layer" cuts each parameter by its own rate, "global" all together (their rates are then equal)
    - `iterations`: minibatch steps; `eval_every`: steps between evaluations; `rewind`: the step that tickets go back to
    - `loss(outputs, targets)`: mean over the batch, a scalar; `right(outputs, targets)`: `(example,)` bool
    """

    model: Callable[[], nn.Module]
    train: Split
    val: Split
    test: Split
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    rates: Mapping[str, float]
    iterations: int = 1_000
    batch_size: int = 60
    eval_every: int = 100
    schedule: Callable[[Optimizer], Any] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
    right: Callable[[Tensor, Tensor], Tensor] = argmax_is_target
    scope: str = "layer"
    rewind: int = 0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        parameters = dict(self.model().named_parameters())
        for name, rate in self.rates.items():
            if name not in parameters:
                raise UsageError(f"rates names {name!r}, which the model lacks; allowed: {', '.join(parameters)}.")
            if not 0 <= rate < 1:
                raise UsageError(f"the rate of {name} is {rate}: give a fraction in [0, 1), such as 0.2.")
        if self.scope not in ("layer", "global"):
            raise UsageError(f"scope = {self.scope!r} does not exist; allowed: layer, global.")
        if self.scope == "global" and len(set(self.rates.values())) != 1:
            raise UsageError("scope = 'global' makes one cut through all weights: give all of them the same rate.")
        if min(self.iterations, self.batch_size, self.eval_every) < 1 or self.iterations % self.eval_every:
            raise UsageError(
                f"iterations = {self.iterations} must be a multiple of eval_every = {self.eval_every}, both at least 1."
            )
        if not 0 <= self.rewind < self.iterations:
            raise UsageError(
                f"rewind = {self.rewind} is not an iteration of the training: give 0 to {self.iterations - 1}."
            )
        for part in ("train", "val", "test"):
            inputs, targets = getattr(self, part)
            if len(inputs) != len(targets) or len(inputs) == 0:
                raise UsageError(f"{part} has {len(inputs)} inputs and {len(targets)} targets: give one of each.")


@dataclass(frozen=True)
class Ticket:
    """A mask with the weights to start from: `weights` is a whole state dict, 0 where `masks` is False.

    >>> layer = torch.nn.Linear(2, 1)
    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]]), "bias": torch.zeros(1)},
    ...                 {"weight": torch.tensor([[False, True]])})
    >>> ticket.into(layer).weight.tolist()
    [[0.0, 2.0]]
    """

    weights: State
    masks: Masks

    def into(self, module: nn.Module) -> nn.Module:
        """`module` with the ticket's weights; to train it, hold its masks too (`hold`, or `torch.nn.utils.prune`)."""
        module.load_state_dict(self.weights)
        return module

    def save(self, file: str | Path) -> None:
        """One safetensors file in the layout of `python -m lth_core export`: each entry of the state dict by its name,
        and NAME.mask (bool) beside what is pruned."""
        tensors = {**self.weights, **{f"{n}.mask": m for n, m in self.masks.items()}}
        save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, file, {"format": "lth-own-ticket-1"})


def load(file: str | Path) -> Ticket:
    """A ticket that `Ticket.save` or `python -m lth_core export` wrote (trained weights, if any, are left out).

    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]])}, {"weight": torch.tensor([[False, True]])})
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ticket.save(pathlib.Path(folder) / "own.safetensors")
    ...     load(pathlib.Path(folder) / "own.safetensors").masks
    {'weight': tensor([[False,  True]])}
    """
    try:
        tensors = {n: t for n, t in load_file(file).items() if not n.endswith(".trained")}
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file} cannot be read as safetensors ({error}): save the ticket again.") from error
    masks = {n.removesuffix(".mask"): t.bool() for n, t in tensors.items() if n.endswith(".mask")}
    weights = {n: t for n, t in tensors.items() if not n.endswith(".mask")}
    for name, mask in masks.items():
        if name not in weights or weights[name].shape != mask.shape:
            raise UsageError(f"{file} has a mask for {name} and no weights of its shape: save the ticket again.")
        if weights[name][~mask].any():
            raise UsageError(f"{file}: {name} is not 0 where its mask prunes it: save the ticket again.")
    return Ticket(weights, masks)


@dataclass
class Found:
    """What `run` leaves.

    - `cells`: one row a network: trial, round, arm, replicate, density, `analyse.summary`, seconds, device
    - `curves`: one row an evaluation: key, iteration; loss and right answers of train (a fixed sample), val, test
    - `starts`: trial -> weights that tickets go back to; `masks`: (trial, round) -> the ticket's masks
    """

    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    starts: dict[int, State] = field(default_factory=dict)
    masks: dict[tuple[int, int], Masks] = field(default_factory=dict)

    def ticket(self, trial: int, round: int) -> Ticket:
        """The ticket of a trial after so many rounds of pruning; round 0 is the unpruned network."""
        if (trial, round) not in self.masks:
            raise UsageError(f"no ticket of trial {trial}, round {round}: see `cells` for those there are.")
        masks = self.masks[trial, round]
        return Ticket(masked(self.starts[trial], masks), masks)


def rates_of(module: nn.Module, rate: float = 0.2, last: float = 0.5) -> dict[str, float]:
    """The papers' rates for a module: `rate` a round for each weight with two axes or more, `last` times that for the
    last one (the output layer: ICLR section 2). Biases and normalisation are never pruned.

    >>> rates_of(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)))
    {'0.weight': 0.2, '2.weight': 0.1}
    """
    names = [name for name, p in module.named_parameters() if p.dim() > 1]
    return {name: rate * (last if name == names[-1] else 1) for name in names}


def masked(weights: State, masks: Masks) -> State:
    """A copy of a state dict that is exactly 0 where `masks` is False.

    >>> masked({"weight": torch.ones(2)}, {"weight": torch.tensor([True, False])})["weight"].tolist()
    [1.0, 0.0]
    """
    return {n: w.masked_fill(~masks[n], 0) if n in masks else w.clone() for n, w in weights.items()}


def cut(experiment: Experiment, trained: State, alive: Masks, round: int) -> Masks:
    """The masks of `round`: the largest trained magnitudes among the weights `alive`, so that masks nest.

    Sizes follow the closed form n (1 - rate)^round, as everywhere here (`prune.kept`)."""
    arrays = {n: trained[n].detach().cpu().numpy() for n in alive}
    rates = experiment.rates
    if experiment.scope == "layer":
        keep = {n: prune.kept(a.size, rates[n], round) for n, a in arrays.items()}
        found = {n: prune.largest(np.abs(a), alive[n].numpy(), keep[n]) for n, a in arrays.items()}
        return {n: torch.from_numpy(m) for n, m in found.items()}
    sizes = [a.size for a in arrays.values()]
    scores = np.concatenate([np.abs(a).ravel() for a in arrays.values()])
    living = np.concatenate([alive[n].numpy().ravel() for n in arrays])
    mask = prune.largest(scores, living, prune.kept(scores.size, next(iter(rates.values())), round))
    parts = np.split(mask, np.cumsum(sizes)[:-1])
    return {n: torch.from_numpy(part.reshape(a.shape)) for (n, a), part in zip(arrays.items(), parts, strict=True)}


@torch.no_grad()
def hold(module: nn.Module, masks: Masks, *, gradients: bool = False) -> None:
    """Set what is masked to exactly 0, in place: of the gradients before an optimizer's step, so that it gathers no
    momentum for weights that are gone, or of the weights after it, so that none of them comes back.

    >>> layer = torch.nn.Linear(2, 1)
    >>> hold(layer, {"weight": torch.tensor([[False, True]])})
    >>> layer.weight[0, 0].item()
    0.0
    """
    for name, p in module.named_parameters():
        if name in masks:
            values = p.grad if gradients else p
            if values is not None:
                values.masked_fill_(~masks[name], 0)  # not a product: that leaves -0 and, of a NaN, a NaN


def seeded(experiment: Experiment, *key: int | str) -> int:
    """A seed for torch's generator that depends on the experiment's seed and `key` alone."""
    return int(generator(experiment.seed, "own", *key).integers(2**31))


def drawn(experiment: Experiment, *key: int | str) -> State:
    """The weights of a new model, drawn for `key`, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(experiment, *key))
        return {n: w.detach().clone() for n, w in experiment.model().state_dict().items()}


def start(experiment: Experiment, arm: str, weights: State, masks: Masks, key: tuple[int | str, ...]) -> Ticket:
    """How a network of an arm starts, given its ticket's `weights` and `masks`. `key`: trial, arm, round, replicate.

    ticket: as it is. reinit: the same masks, a new model's weights. shuffle (v1 section 3.2): surviving values to
    random places in their layer, and the mask with them. random_sparsity: as many weights, at random places, of a new
    model."""
    if arm == "ticket":
        return Ticket(masked(weights, masks), masks)
    weights, masks = dict(weights), dict(masks)
    for name, mask in masks.items():
        if arm in ("shuffle", "random_sparsity"):
            order = torch.from_numpy(generator(experiment.seed, "own", *key, name).permutation(mask.numel()))
            masks[name] = mask.flatten()[order].reshape(mask.shape)
            weights[name] = weights[name].masked_fill(~mask, 0).flatten()[order].reshape(mask.shape)
    if arm in ("reinit", "random_sparsity"):
        weights = drawn(experiment, *key)
    return Ticket(masked(weights, masks), masks)


@dataclass(frozen=True)
class Trained:
    """A trained network: `curves` (column -> one value an evaluation), `weights`, and those at iteration `rewind`."""

    curves: dict[str, list[float]]
    weights: State
    rewound: State


def batches(n: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Indices of `steps` minibatches `(size,)`: examples reshuffled each epoch, epochs joined end to end.

    >>> [len(b) for b in batches(5, 3, 4, np.random.default_rng(0))]
    [3, 3, 3, 3]
    """
    stream = np.empty(0, np.int64)
    for _ in range(steps):
        while len(stream) < size:
            stream = np.concatenate([stream, rng.permutation(n)])
        yield torch.from_numpy(stream[:size])
        stream = stream[size:]


def train(experiment: Experiment, ticket: Ticket, key: tuple[int | str, ...] = (0, "ticket", 0, 0)) -> Trained:
    """Train one network to the end; its batches and whatever its module draws (dropout) follow from `key` alone."""
    e, where = experiment, torch.device(experiment.device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seeded(e, *key, "train"))
        module = ticket.into(e.model()).to(where)
        masks = {n: m.to(where) for n, m in ticket.masks.items()}
        inputs, targets = (t.to(where) for t in e.train)
        optimizer = e.optimizer(module.parameters())
        schedule = e.schedule(optimizer) if e.schedule else None
        curves: dict[str, list[float]] = {}
        rewound = module_state(module)
        evaluate(e, module, 0, curves)
        order = batches(len(inputs), e.batch_size, e.iterations, generator(e.seed, "own", *key, "order"))
        for iteration, batch in enumerate(order, 1):
            optimizer.zero_grad()
            batch = batch.to(where)
            e.loss(module(inputs[batch]), targets[batch]).backward()
            hold(module, masks, gradients=True)
            optimizer.step()
            hold(module, masks)
            if schedule:
                schedule.step()
            if iteration == e.rewind:
                rewound = module_state(module)
            if iteration % e.eval_every == 0:
                evaluate(e, module, iteration, curves)
    return Trained(curves, module_state(module), rewound)


def module_state(module: nn.Module) -> State:
    """A copy on the CPU: a state dict itself holds references, and going back to those changes nothing."""
    return {n: w.detach().cpu().clone() for n, w in module.state_dict().items()}


@torch.no_grad()
def evaluate(experiment: Experiment, module: nn.Module, iteration: int, curves: dict[str, list[float]]) -> None:
    """Append one evaluation to `curves`: mean loss and right answers on a fixed sample of train, on val and on test."""
    training = module.training
    module.eval()
    curves.setdefault("iteration", []).append(iteration)
    for part, (inputs, targets) in parts(experiment).items():
        loss, right = 0.0, 0
        for x, y in zip(inputs.split(AT_ONCE), targets.split(AT_ONCE), strict=True):
            x, y = x.to(experiment.device), y.to(experiment.device)
            outputs = module(x)
            loss += float(experiment.loss(outputs, y)) * len(x)
            right += int(experiment.right(outputs, y).sum())
        curves.setdefault(f"{part}_loss", []).append(loss / len(inputs))
        curves.setdefault(f"{part}_correct", []).append(right)
    module.train(training)


def parts(experiment: Experiment) -> dict[str, Split]:
    """What is evaluated: the first so many training examples, all of validation and test."""
    inputs, targets = experiment.train
    return {"train": (inputs[:SAMPLE], targets[:SAMPLE]), "val": experiment.val, "test": experiment.test}


def run(
    experiment: Experiment,
    *,
    rounds: int,
    trials: int,
    arms: Sequence[str] = ("ticket", "reinit"),
    replicates: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Found:
    """Iterative magnitude pruning with rewinding, and its controls, `trials` times from different initial weights.

    - `rounds`: cuts; each starts from what the ticket of the round before learnt
    - `arms`: of `ARMS`; tickets are always trained, since masks come from them
    - `replicates`: redraws of each control
    - `progress(message)`: told of each network before it trains
    """
    if unknown := set(arms) - set(ARMS):
        raise UsageError(f"arm {min(unknown)!r} does not exist here; allowed: {', '.join(ARMS)}.")
    if min(rounds, trials, replicates) < 1:
        raise UsageError(f"rounds = {rounds}, trials = {trials}, replicates = {replicates}: each must be at least 1.")
    found, cells, curves = Found(), [], []
    controls = [(arm, i) for arm in arms if arm != "ticket" for i in range(replicates)]
    for trial in range(trials):
        found.starts[trial] = drawn(experiment, trial, "init")
        masks: Masks = {n: torch.ones_like(found.starts[trial][n], dtype=torch.bool) for n in experiment.rates}
        for number in range(rounds + 1):
            found.masks[trial, number] = masks
            trained = None
            for arm, replicate in [("ticket", 0), *(controls if number else [])]:
                key = (trial, arm, number, replicate)
                if progress:
                    progress(f"trial {trial}, round {number}, {arm}")
                began = time.perf_counter()
                one = train(experiment, start(experiment, arm, found.starts[trial], masks, key), key)
                cells.append(row(experiment, key, masks, one, time.perf_counter() - began))
                curves.append(pd.DataFrame(one.curves).assign(key=cells[-1]["key"]))
                trained = trained or one
            assert trained is not None
            if number == 0:
                found.starts[trial] = trained.rewound
            if cells[-1 - (len(controls) if number else 0)]["diverged"]:
                break  # weights that are no numbers have no magnitudes to prune by
            masks = cut(experiment, trained.weights, masks, number + 1)
    found.cells, found.curves = pd.DataFrame(cells), pd.concat(curves, ignore_index=True)
    return found


def row(
    experiment: Experiment, key: tuple[int, str, int, int], masks: Masks, trained: Trained, seconds: float
) -> dict[str, Any]:
    """A network's row of `Found.cells`. `prune_fc` is the largest rate: it places the row among the papers' levels."""
    trial, arm, number, replicate = key
    kept, size = sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values())
    finite = all(bool(torch.isfinite(trained.weights[n]).all()) for n in masks)
    sizes = {part: len(inputs) for part, (inputs, _) in parts(experiment).items()}
    return {
        "key": f"{arm}-{trial}-{number}-{replicate}", "trial": trial, "round": number, "arm": arm,
        "replicate": replicate, "prune_fc": max(experiment.rates.values()) if number else 0.0, "prune_conv": 0.0,
        "density": kept / size, "weights": kept, **analyse.summary(pd.DataFrame(trained.curves), sizes),
        "diverged": not finite, "seconds": seconds, "engine": "torch", "device": experiment.device,
    }  # fmt: skip


def judge(cells: pd.DataFrame, statements: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Statements about your networks, tested as the ledger tests the papers': effect, low, high (95%), n, verdict.

    Each is the name of a test (`lth_core.judge`, `lth_core.shapes`) and its arguments: `ahead` says that one side is
    better than another, over `levels` in rounds of 20% or percent of weights. Intervals: bootstrap over trials.

    >>> cells = pd.DataFrame({"trial": [0, 0, 0, 1, 1, 1], "round": [0, 1, 1] * 2, "prune_fc": [0.0, 0.2, 0.2] * 2,
    ...     "prune_conv": 0.0, "density": [1.0, 0.8, 0.8] * 2, "arm": ["ticket", "ticket", "reinit"] * 2,
    ...     "stop_test": [0.9, 0.91, 0.85, 0.9, 0.92, 0.86]})
    >>> said = judge(cells, {"Tickets are more accurate than their reinitialised copies.": dict(test="ahead",
    ...     column="stop_test", of={"arm": "ticket", "at": 1}, to={"arm": "reinit", "at": 1})})
    >>> said[["effect", "n", "verdict"]].round(1).values.tolist()
    [[6.0, 2, 'holds']]
    """
    from lth_core.claims import NETWORKS, word  # here: the ledger needs more than the core does
    from lth_core.judge import Lacking, with_depth

    table, rows = with_depth(cells), []
    for statement, how in statements.items():
        arguments = dict(how)
        name = arguments.pop("test")
        if name not in NETWORKS:
            raise UsageError(f"test {name!r} does not exist; allowed: {', '.join(NETWORKS)}.")
        try:
            result = NETWORKS[name](table, **arguments)
        except Lacking as why:
            rows.append({"statement": statement, "n": 0, "verdict": f"not measured: {why}"})
            continue
        numbers = {"effect": result.effect, "low": result.low, "high": result.high, "n": result.n}
        rows.append({"statement": statement, **numbers, "verdict": word(result)})
    return pd.DataFrame(rows)
