"""`python -m rushes` is `rushes`."""

import sys

from rushes.cli import main

if __name__ == "__main__":
    sys.exit(main())
