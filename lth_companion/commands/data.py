"""`data`: which data sets lie where, and fetching what is not there."""

from __future__ import annotations

import argparse
import sys

from lth_core import data as sets
from lth_core.errors import UsageError, one_line


def data(args: argparse.Namespace) -> int:
    """Says of each data set in which form it was found and that it is the official one; fetches what lacks."""
    where = sets.folder(args.data_dir)
    facts = [sets.known(n) for n in args.names] or [d for d in sets.KNOWN.values() if d.layouts]
    lacking = 0
    for one in facts:
        try:
            found = one.find(where)
            if found is None and one.layouts and args.no_fetch:
                print(f"{one.name:<10} is not in {where}: {one.wanted(where)}.")
                lacking += 1
                continue
            loaded = sets.load(one.name, args.data_dir)
        except (UsageError, OSError) as error:
            print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
            lacking += 1
            continue
        how = "comes along" if not one.layouts else f"{found[0].says}, in {found[1][0].parent}" if found else "fetched"
        images = f"{len(loaded.pool_labels):,} + {len(loaded.test_labels):,} images"
        print(f"{one.name:<10} {images}, checksum {loaded.checksum} as it should be: {how}")
    return int(lacking > 0)
