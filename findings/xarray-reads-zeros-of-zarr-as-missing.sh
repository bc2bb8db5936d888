#!/usr/bin/env bash
# What:    xarray 2026.9.0 with zarr 3.1.6, an array of format 2 that zarr wrote
# Guess:   weights with zeros come back as they were written.
# Happens: zarr gives a new array the fill value 0, and in format 2 xarray takes the fill value for the mark of a missing
#          number: every zero is NaN, and a mask of whole numbers is float. In format 3 the same call keeps the zeros.
# Matters: zeros are what pruning leaves. Counted by `!= 0` the density of every ticket is 1, a mean over the weights is one
#          over those that are left, and `open_zarr(..., mask_and_scale=False)` or a fill value of None is what to ask for.
set -euo pipefail
. "$(dirname "$0")/python.sh" xarray==2026.9.0 zarr==3.1.6 numpy==2.4.6
"$PY" - <<'P'
import sys, tempfile, warnings
import numpy as np, xarray as xr, zarr

warnings.simplefilter("ignore")  # on metadata that version 3 does not standardize
w = np.array([[0.0, 0.5], [0.25, 0.0]], np.float32)
found = {}
for version in (2, 3):
    folder = tempfile.mkdtemp()
    group = zarr.open_group(folder, mode="w", zarr_format=version)
    for name, values in {"weight": w, "mask": (w != 0).astype(np.int8)}.items():
        names = {"dimension_names": ("out", "in")} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": ["out", "in"]}}
        group.create_array(name, data=values, **names)
    zarr.consolidate_metadata(folder)
    read = xr.open_zarr(folder)
    found[version] = float((read.weight != 0).mean()), float(read.weight.mean()), str(read.mask.dtype)
    print(f"format {version}: weights {read.weight.values.tolist()}, density {found[version][0]}, mean {found[version][1]:.4f}, mask {found[version][2]}")
sys.exit(found != {2: (1.0, 0.375, "float32"), 3: (0.5, 0.1875, "int8")})
P
