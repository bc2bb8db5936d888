"""Where `python -m lth_core.book` was until 0.2: it is `python -m lth_core book` now. Goes in 0.3."""

import sys
import warnings

from lth_core.__main__ import main

if __name__ == "__main__":
    warnings.warn("python -m lth_core.book is now python -m lth_core book", DeprecationWarning, stacklevel=1)
    sys.exit(main(["book", *sys.argv[1:]]))
