"""`python -m greenai.cli` is `greenai`."""

import sys

from greenai.cli.root import main

if __name__ == "__main__":
    sys.exit(main())
