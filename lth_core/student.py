"""Where `python -m lth_core.student` was until 0.2: it is `python -m lth_core student` now. Goes in 0.3."""

import sys
import warnings

from lth_core.__main__ import main

if __name__ == "__main__":
    warnings.warn("python -m lth_core.student is now python -m lth_core student", DeprecationWarning, stacklevel=1)
    sys.exit(main(["student", *sys.argv[1:]]))
