"""Where `python -m lth_core.archive` was until 0.2: it is `python -m lth_core archive` now. Goes in 0.3."""

import sys
import warnings

from lth_core.__main__ import main

if __name__ == "__main__":
    warnings.warn("python -m lth_core.archive is now python -m lth_core archive", DeprecationWarning, stacklevel=1)
    sys.exit(main(["archive", *sys.argv[1:]]))
