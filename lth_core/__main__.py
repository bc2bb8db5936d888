"""The command line's name: `python -m lth_core COMMAND`. The commands belong to the companion; nothing imports this."""

import sys

from lth_companion.commands import main

if __name__ == "__main__":
    sys.exit(main())
