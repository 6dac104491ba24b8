"""Trains from the command line: `python -m katas.k09_capstone.train …` is `harness train …`."""

import sys

from harness.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
