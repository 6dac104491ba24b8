"""`python -m harness`, for launchers such as torchrun that start modules."""

from harness.cli import main

if __name__ == "__main__":
    main()
