"""Samples from the command line: `python -m katas.k09_capstone.sample …` is `harness sample …`."""

import sys

from harness.cli import main

if __name__ == "__main__":
    main(["sample", *sys.argv[1:]])
