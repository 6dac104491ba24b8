"""Training with the capstone, and the parts that learners are given."""

from harness.training.curves import draw_curves
from harness.training.devices import choose_device
from harness.training.monitor import Monitor
from harness.training.run_folder import RunFolder, read_losses
from harness.training.workers import Workers, join_workers

__all__ = [
    "Monitor",
    "RunFolder",
    "Workers",
    "choose_device",
    "draw_curves",
    "join_workers",
    "read_losses",
]
