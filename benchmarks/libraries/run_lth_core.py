"""lth_core's own rows on the same schedule, by the engine that it takes on a CPU, and their reinitialised control."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import numpy as np
from collect import RECIPE
from measured import EPOCHS, ROUNDS, TRIALS, WEIGHTS, Record

from lth_core import __version__, tickets
from lth_core.data import EVALUATED
from lth_core.spec import Spec
from lth_core.store import Store

record = Record(library="lth_core", call="python -m lth_core run, one row a network", optimizer="Adam, new each round")
record.facts["versions"] |= {"lth_core": __version__, "numpy": np.__version__}
with tempfile.TemporaryDirectory() as folder:
    store = Store(folder)
    warm = Spec(**{**RECIPE, "iterations": 10, "eval_every": 10}, trial=999)
    tickets.run([warm, warm.at_round(ROUNDS)], store)  # compiles
    control = []
    for trial in range(TRIALS):
        found = record.trial()
        control.append([])
        for at in range(ROUNDS + 1):
            spec = Spec(**RECIPE, trial=trial).at_round(at)
            network = tickets.from_store(spec, store)
            found.begin(network.weights, network.masks)
            tickets.run([spec], store)
            found.end(store.trained(spec))
        kept = found.rounds[-1]["kept"]
        found.file("mask", None, {n: store.masks(spec)[n] for n in WEIGHTS}, kept)
        for at in range(1, ROUNDS + 1):
            other = replace(Spec(**RECIPE, trial=trial).at_round(at), arm="reinit")
            tickets.run([other], store)
            share = store.table([other])["end_test"].iat[0]  # only tickets keep their trained weights
            control[-1].append(int(EVALUATED["mnist"]["test"] * share + 0.5))
record.write(control=control, epochs=EPOCHS)
