"""Commands of `harness`, one module each."""
