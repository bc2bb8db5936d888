#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), torch.randn on a CPU
# Guess:   from one seed, the first 32 of 33 normal numbers are the 32 numbers, as with torch.rand and with numpy.
# Happens: from 16 numbers on they are made in blocks of 16, and where the count is no multiple of 16 the last 16 are
#          drawn again. Of 32 numbers 17 stay when a 33rd is asked for; 15 and 16 numbers have none in common.
# Matters: "same seed, same start" is how tickets are compared. A network with one unit or one output more, or a start
#          drawn in pieces, shares some weights with the other and not the last ones of each layer, which looks like
#          sharing all.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch


def common(draw, few, more):
    numbers = [draw(n, generator=torch.Generator().manual_seed(0)) for n in (few, more)]
    return int((numbers[0] == numbers[1][:few]).sum())


normal = [common(torch.randn, *pair) for pair in ((15, 16), (32, 33), (32, 48))]
uniform = [common(torch.rand, *pair) for pair in ((15, 16), (32, 33), (32, 48))]
print(f"numbers in common of 15 and 16, 32 and 33, 32 and 48: randn {normal}, rand {uniform}")
sys.exit(not (normal == [0, 17, 32] and uniform == [15, 32, 32]))
P
