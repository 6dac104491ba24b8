"""Turns are given out in the order in which they were asked for."""

from __future__ import annotations

import threading
import time

import pytest

from harness.play.turns import Turns


def test_a_long_computation_gives_way_to_everybody_who_waits() -> None:
    turns, order = Turns(), []

    def other(name: str) -> None:
        with turns:
            order.append(name)

    with turns:
        waiting = [threading.Thread(target=other, args=(name,)) for name in "ab"]
        for number, thread in enumerate(waiting, 2):
            thread.start()
            while turns._tickets < number:
                time.sleep(0.001)
        turns.give_way()
        order.append("the long one")
        assert order == ["a", "b", "the long one"]
    for thread in waiting:
        thread.join()


def test_an_error_ends_a_turn() -> None:
    turns = Turns()
    with pytest.raises(ValueError), turns:
        raise ValueError
    with turns:
        pass
