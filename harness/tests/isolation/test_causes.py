"""Tests of the errors behind an error."""

from __future__ import annotations

import pytest

from harness.isolation.causes import causes_of


def raised_from_two(*, hidden: bool) -> ValueError:
    with pytest.raises(ValueError) as raised:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise OSError("second") from error
        except OSError as error:
            raise ValueError("third") from (None if hidden else error)
    return raised.value


@pytest.mark.parametrize("hidden", [False, True])
def test_the_nearest_cause_comes_first_hidden_or_not(hidden: bool) -> None:
    assert [type(each) for each in causes_of(raised_from_two(hidden=hidden))] == [OSError, KeyError]


def test_an_error_without_a_cause_has_none() -> None:
    assert list(causes_of(ValueError())) == []


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    one, other = ValueError(), KeyError()
    one.__context__, other.__context__ = other, one
    assert list(causes_of(one)) == [other]
