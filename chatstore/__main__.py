"""`python -m chatstore`, the same as the command `chatstore`."""

import sys

from chatstore.cli import main

if __name__ == "__main__":
    sys.exit(main())
