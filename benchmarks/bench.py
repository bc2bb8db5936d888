"""All benchmarks in one run, as a table to read and as rows: `make bench`.

    python benchmarks/bench.py [--publish] [lenet] [xor] [memory] [dense] [pages] [conv-2] ... [resnet-18] [vgg-19]
                              [parts] [open_lth]

Writes _build/bench.json: benchmark, engine, setting, median, unit, ratio to the plain loop of the same run, and where
they apply the setting's own fields: arch, density (a fraction), cohort (networks) and precision. With --publish the
rows also go to results/bench.json (of a processor with AVX2 and no more: results/bench_avx2.json), with the machine
they were measured on: the book's performance page. There they take the place of what the same benchmarks measured
before; other rows stay, with the day and commit they are of.
`open_lth` is asked for by name, since it needs a clone of OpenLTH (see `open_lth.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import convolutional
import dense
import lenet
import memory
import open_lth
import pages
import parts
import xor

from lth_companion.experiments import timings
from lth_core.atomic_files import replaced
from lth_core.engines.sparse.simd import VECTORS
from lth_core.results import manifest
from lth_core.store.provenance import device_details, provenance

ROOT = Path(__file__).resolve().parent.parent
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BENCHMARKS = {
    "lenet": lenet.rows,
    "xor": xor.rows,
    "memory": memory.rows,
    "dense": lambda: dense.rows(DEVICE),
    "pages": pages.rows,
    **{arch: partial(convolutional.rows, cases={arch: rounds}) for arch, rounds in convolutional.ROUNDS.items()},
    "parts": parts.rows,
    "open_lth": lambda: [row for arch in open_lth.THEIRS for row in open_lth.rows(arch)],
}
BY_NAME = ("open_lth",)  # only where asked for
SAID_ONCE = ("commit", "when")  # of `made`, kept beside rows that stay when others are measured


def table(rows: list[dict]) -> str:
    """Rows as aligned text, one block per benchmark."""
    lines = []
    for name in dict.fromkeys(r["benchmark"] for r in rows):
        lines.append(f"\n{name}")
        for r in rows:
            if r["benchmark"] == name:
                ratio = f"{r['ratio']:>9,.2f}x" if r["ratio"] else ""
                lines.append(f"  {r['engine']:<24} {r['setting']:<62} {r['median']:>12,.4g} {r['unit']:<16} {ratio}")
    return "\n".join(lines)


def beside(old: dict, made: dict, rows: list[dict]) -> dict:
    """What is published once `rows` are measured: they replace rows of the same benchmarks of the same architecture;
    rows that stay say whose they are where it is not the newest's, and a note names them."""
    measured = {(r["benchmark"], r.get("arch")) for r in rows}
    was = {name: old["made"][name] for name in SAID_ONCE if name in old["made"]}
    kept = [{**was, **r} for r in old["rows"] if (r["benchmark"], r.get("arch")) not in measured]
    now = {name: made[name] for name in SAID_ONCE if name in made}
    kept = [{n: v for n, v in r.items() if not (n in now and now[n] == v)} for r in kept]
    others = sorted({f"{r['when']} (commit {r['commit']})" for r in kept if "when" in r and "commit" in r})
    note = {"note": f"Rows of other benchmarks are of {', '.join(others)}."[:200]} if others else {}
    return {"made": {**made, **note}, "rows": kept + rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--publish", action="store_true", help=f"also write results/{timings.file_of(VECTORS)}")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; allowed: {', '.join(BENCHMARKS)}")
    rows = [row for name in args.names or [n for n in BENCHMARKS if n not in BY_NAME] for row in BENCHMARKS[name]()]
    print(table(rows))
    made = {**provenance(), **device_details(DEVICE), "when": time.strftime("%Y-%m-%d", time.gmtime())}
    made["vectors"] = VECTORS or "other"
    text = json.dumps({"made": made, "rows": rows}, indent=1) + "\n"
    with replaced(ROOT / "_build" / "bench.json") as temporary:
        temporary.write_text(text)
    if args.publish:
        folder, file = ROOT / "results", timings.file_of(VECTORS)
        both = beside(manifest.document(folder, file) or {"made": {}, "rows": []}, made, rows)
        try:
            timings.checked(both)
        except ValueError as error:  # the book would refuse it
            parser.exit(1, f"{error}: nothing was published; the rows are in _build/bench.json\n")
        manifest.commit(folder, {file: (json.dumps(both, indent=1) + "\n").encode()})


if __name__ == "__main__":
    main()
