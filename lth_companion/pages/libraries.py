"""What other libraries do when they are asked for lottery tickets: the words and tables of their page, from facts."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from IPython.display import Markdown

from lth_companion import html
from lth_companion.experiments import other_libraries
from lth_companion.figures.captions import frame
from lth_companion.figures.libraries import OURS, states
from lth_companion.pages.lead import NOTHING
from lth_core import analyse
from lth_core.plot import Html
from lth_core.untrusted_text import shown

CALLED = {  # library -> how it was called
    "lth_core": "rows of the catalogue, by the engine for sparse networks",
    "lth_core.own": "own.run(experiment, rounds=10, trials=1)",
    "OpenLTH": "open_lth.py lottery --default_hparams=mnist_lenet_300_100 --optimizer_name=adam "
    "--pruning_fraction=0.2 --levels=10 ...",
    "torch.nn.utils.prune, by hand": "prune.l1_unstructured(layer, 'weight', amount=0.2) each round; weights put back "
    "from a deep copy of the first state dict",
    "torch.ao.pruning, by hand": "WeightNormSparsifier(sparse_block_shape=(1, 1), zeros_per_block=1), step() each "
    "round; weights put back from a deep copy of the first state dict",
    "kd-lib": "LotteryTicketsPruner(model, train_loader, test_loader).prune(11, 2, prune_percent=20)",
    "fasterai": "SparsifyCallback(0.89, 'weight', 'local', large_final, schedule, lth=True, save_tickets=True)",
    "pytorch-lightning": "ModelPruning('l1_unstructured', amount=0.2, use_lottery_ticket_hypothesis=True)",
    "lottery-ticket-pruner, Keras 2": "calc_prune_mask(model, 0.2, 'large_final'); fit(callbacks=[PrunerCallback])",
    "lottery-ticket-pruner, Keras 3": "calc_prune_mask(model, 0.2, 'large_final'); fit(callbacks=[PrunerCallback])",
}
FORMS = {"mask": "as masks", "zeros": "as zeros", "masked training": "state dict in training"}
NONE = "*Not measured yet:* `python benchmarks/libraries/run.py --publish`."


def of(rounds: pd.DataFrame, name: str, from_round: int = 0) -> pd.DataFrame:
    return rounds[(rounds["name"] == name) & (rounds["round"] >= from_round)]


def last(rounds: pd.DataFrame, name: str) -> pd.DataFrame:
    own = of(rounds, name)
    return own[own["round"] == own["round"].max()]


# --- What differs from the method: each a question to the facts of one library ---------------------------------------


def rewound_once(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    by_round = rounds[rounds["round"] > 0].groupby("round").apply(lambda t: (t["rewound"] == t["kept"]).all())
    return bool(by_round.iloc[0]) and not by_round.iloc[1:].any()


def biases_once(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    by_round = rounds[rounds["round"] > 0].groupby("round").apply(lambda t: (t["biases_rewound"] == t["biases"]).all())
    return bool(by_round.iloc[0]) and not by_round.iloc[1:].any()


def nothing_pruned(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    return bool((rounds["kept"] == rounds["kept"].max()).all())


def biases_pruned(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    return bool(rounds["biases"].nunique() > 1)


def pruned_move(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    return bool(rounds["grown"].gt(0).any())


def optimizer_remembers(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    return bool(rounds["steps"].gt(0).any())


def files_lag(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    before = rounds.sort_values("round").assign(before=lambda t: t.groupby("trial")["kept"].shift())
    late = saved.merge(before[["trial", "kept", "before"]], on=["trial", "kept"])
    return bool(((late["holds"] == late["before"]) & (late["holds"] > late["kept"])).any())


def no_mask(rounds: pd.DataFrame, saved: pd.DataFrame) -> bool:
    return bool(((saved["form"] == "masked training") & (saved["holds"] > saved["kept"])).any())


KINDS: dict[str, tuple[Callable[[pd.DataFrame, pd.DataFrame], bool], str, str]] = {
    "rewound once": (
        rewound_once,
        "The copy that was kept to go back to becomes the parameter itself, and is trained from then on.",
        "a ticket's weights are the unpruned network's initial ones, bit for bit, in the second round too",
    ),
    "biases rewound once": (
        biases_once,
        "The same for biases.",
        "the same property of the biases",
    ),
    "nothing is pruned": (
        nothing_pruned,
        "Layers are known by the module that their class comes from, which this version of Keras has renamed; the rate "
        "that is reported is the one that was asked for.",
        "each layer has as many weights as its own rate leaves",
    ),
    "biases are pruned": (
        biases_pruned,
        "Weights and biases of all layers are cut together where no parameters are named.",
        "biases have no zeros that they did not have at their start",
    ),
    "pruned weights move in training": (
        pruned_move,
        "They are set to 0 at the begin of an epoch, or in the forward pass, and the optimizer's step moves them.",
        "a trained ticket has no weight that it did not have at its start",
    ),
    "the optimizer remembers": (
        optimizer_remembers,
        "All rounds are one fit, or one compiled model, so that Adam's moments come from weights that were taken back.",
        "an optimizer is new when a round begins",
    ),
    "files lag a cut behind": (
        files_lag,
        "The file is written before the cut that its name tells.",
        "a file holds as many weights as it says",
    ),
    "the mask is not in the state dict": (
        no_mask,
        "It is a buffer of a module whose state dict is empty, until the mask is squashed into the weights.",
        "what is saved and read prunes what was pruned",
    ),
}  # fmt: skip


def lead() -> Markdown:
    """The page's question, answered by how rounds began."""
    _, rounds, _ = other_libraries.libraries()
    if rounds.empty:
        return Markdown(NOTHING)
    found = states(rounds)
    n = len(found.columns)
    groups: dict[str, list[str]] = {}
    for name, row in ((str(name), row) for name, row in found.iterrows()):
        if name.startswith(OURS):
            continue
        groups.setdefault(_how(of(rounds, name), set(row)), []).append(f"**{told(name)}**")
    said = {
        "back": f"before each of {n} rounds every weight and bias that was left was put back to its initial value, "
        "bit for bit",
        "biases once": "all weights were put back, biases only the first time",
        "weights": "all weights were put back, biases not always",
        "once": "weights were put back the first time only, and trained on from then",
        "not": "weights were not always put back",
        "whole": "no weight was pruned",
    }
    parts = [f"With {html.joined(groups[key])} {words}" for key, words in said.items() if key in groups]
    total = sum(map(len, groups.values()))
    moving = [
        f"**{told(n)}**" for n in map(str, found.index) if not n.startswith(OURS) and pruned_move(of(rounds, n), rounds)
    ]
    more = f" With {html.joined(moving)} pruned weights move in training." if moving else ""
    return Markdown(
        f"**Which libraries find winning tickets?** {total} ways to ask for them were tried. {'. '.join(parts)}.{more}"
    )


def told(name: str) -> str:
    """A way of asking a library, in a list: "torch.nn.utils.prune (by hand)"."""
    library, _, how = name.partition(", ")
    return shown(f"{library} ({how})" if how else library)


def _how(own: pd.DataFrame, found: set[str]) -> str:
    """A library's rounds in one word, from their states."""
    if len(found) == 1 and found <= {"back", "whole"}:
        return found.pop()
    if "not" in found:
        return "once" if rewound_once(own, own) else "not"
    return "biases once" if biases_once(own, own) else "weights"


def scale() -> Markdown:
    """How much was measured, on what."""
    made, rounds, _ = other_libraries.libraries()
    if rounds.empty:
        return Markdown(NONE)
    said = {name: shown(value) for name, value in made.items()}
    return Markdown(
        "Scale: LeNet-300-100 on MNIST, {rounds} cuts of 20%, {iterations} iterations a round (two "
        "epochs) of {batch_size} images. One thread of {device}; commit {commit}, {when}.".format(**said)
    )


def doings() -> Html:
    """What each library does, a row each."""
    _, rounds, saved = other_libraries.libraries()
    if rounds.empty:
        return Html("", "doings")
    rows = []
    for name in dict.fromkeys(rounds["name"]):
        own, files, end = of(rounds, name, 1), saved[saved["name"] == name], last(rounds, name)
        whole = of(rounds, name)["kept"].max()
        left = f"{100 * end['kept'].mean() / whole:.1f}%"
        reports = end["reported"].dropna().astype(float)
        if len(reports) and abs(reports.mean() - end["kept"].mean() / whole) > 0.005:
            left += f" (it reports {100 * reports.mean():.1f}%)"
        back, biases = (_rounds(own, *columns) for columns in (("rewound", "kept"), ("biases_rewound", "biases")))
        if biases_pruned(of(rounds, name), files):
            biases += f"; pruned too, {end['biases'].mean():.0f} of {of(rounds, name)['biases'].max()} are left"
        moved = end["grown"].mean()
        rows.append(
            {
                "library": name,
                "weights left": left,
                "rounds begun at the initial weights": back,
                "at the initial biases": biases,
                "optimizer": "remembers earlier rounds" if own["steps"].gt(0).any() else "new each round",
                "pruned weights in training": f"{moved:,.0f} are not 0" if moved else "stay 0",
                "mask in what it saves": _files(of(rounds, name), files),
            }
        )
    asked = f"{100 * 0.8 ** rounds['round'].max():.1f}%"
    return frame(
        pd.DataFrame(rows), f"What each does, counted. Asked for: {asked} of the weights after the last cut.", "doings"
    )


def _rounds(own: pd.DataFrame, found: str, of_all: str) -> str:
    right = (own[found] == own[of_all]).groupby(own["round"]).all()
    return f"{right.sum()} of {len(right)}"


def _files(rounds: pd.DataFrame, saved: pd.DataFrame) -> str:
    parts = []
    for form, part in saved.groupby("form", sort=False):
        wrong = part["holds"] != part["kept"]
        more = ""
        if files_lag(rounds, part):
            more = f", {wrong.sum()} of {len(part)} files a cut behind their name"
        elif wrong.any():
            more = ": no mask"
        parts.append(FORMS.get(str(form), str(form)) + more)
    return "; ".join(parts)


def accuracies() -> Html:
    """Accuracy of the unpruned and of the smallest network of each library, its time, version and call."""
    _, rounds, _ = other_libraries.libraries()
    if rounds.empty:
        return Html("", "accuracies")
    rows = []
    for name in dict.fromkeys(rounds["name"]):
        own = of(rounds, name)
        first, end = own[own["round"] == 0], last(rounds, name)
        gain = (end.set_index("trial")["correct"] - first.set_index("trial")["correct"]).to_numpy() / 100
        low, high = analyse.mean_interval(gain)
        rows.append(
            {
                "library": name,
                "trials": str(own["trial"].nunique()),
                "unpruned, %": f"{first['correct'].mean() / 100:.2f}",
                "after the last cut, %": f"{end['correct'].mean() / 100:.2f}",
                "points more (95% interval)": Html(html.between(gain.mean(), low, high, 2), "gain"),
                "processor seconds a round": f"{own[own['round'] > 0]['seconds'].median():.1f}",
                "versions": str(own["versions"].iat[0]),
                "measured": str(own["when"].iat[0]),
                "called": Html(f"<code>{shown(CALLED.get(str(name), ''))}</code>", "call"),
            }
        )
    return frame(pd.DataFrame(rows), "Accuracy on the test set, mean over trials; and what was measured.", "accuracies")


def kinds() -> Html:
    """What differs from the method, which libraries do so, and the property that finds it."""
    _, rounds, saved = other_libraries.libraries()
    if rounds.empty:
        return Html("", "kinds")
    rows = []
    for label, (seen, why, finds) in KINDS.items():
        names = [
            str(name) for name in dict.fromkeys(rounds["name"]) if seen(of(rounds, name), saved[saved["name"] == name])
        ]
        if names:
            rows.append({"what": label, "seen in": ", ".join(names), "how it comes about": why, "found by": finds})
    heads = ["what", "seen in", "how it comes about", "found by"]
    return frame(pd.DataFrame(rows, columns=heads), "What differs from the method, as measured.", "kinds")
