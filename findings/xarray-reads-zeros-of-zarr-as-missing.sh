#!/usr/bin/env bash
# What:    xarray 2026.9.0 with zarr 3.1.6, an array of format 2 that zarr wrote
# Guess:   weights with zeros come back as they were written.
# Happens: zarr gives a new array the fill value 0, and in format 2 xarray takes the fill value for the mark of a missing
#          number: every zero is NaN, and a mask of whole numbers is float. In format 3 the same call keeps the zeros.
# Matters: zeros are what pruning leaves. Counted by `!= 0` the density of every ticket is 1, and a mean over all weights
#          is one over those that are left. `open_zarr(..., mask_and_scale=False)` reads what was written.
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
        old = {"attributes": {"_ARRAY_DIMENSIONS": ["out", "in"]}}
        names = {"dimension_names": ("out", "in")} if version == 3 else old
        group.create_array(name, data=values, **names)
    zarr.consolidate_metadata(folder)
    read = xr.open_zarr(folder)
    found[version] = float((read.weight != 0).mean()), float(read.weight.mean()), str(read.mask.dtype)
    density, mean, kind = found[version]
    print(f"format {version}: weights {read.weight.values.tolist()}, density {density}, mean {mean:.4f}, mask {kind}")
    as_it_is = xr.open_zarr(folder, mask_and_scale=False)
    assert as_it_is.weight.values.tolist() == w.tolist() and as_it_is.mask.dtype == np.int8
sys.exit(found != {2: (1.0, 0.375, "float32"), 3: (0.5, 0.1875, "int8")})
P
