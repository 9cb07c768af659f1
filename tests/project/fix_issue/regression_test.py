"""A fraction of a second has one to six digits, as in datetime.strptime."""

import parse
import pytest

FORMAT = "%Y-%m-%d %H:%M:%S.%f"


@pytest.mark.parametrize("fraction", ["5", "25", "125", "0625", "03125", "015625", "0"])
def test_every_precision_is_read(fraction: str) -> None:
    text = f"2024-02-29 23:59:58.{fraction}"
    found = parse.parse("{at:" + FORMAT + "}", text)
    assert found is not None, f"{text!r} does not match %f"
    assert found["at"].isoformat(timespec="microseconds") == f"2024-02-29T23:59:58.{fraction.ljust(6, '0')}"


@pytest.mark.parametrize("fraction", ["", "1234567"])
def test_no_digit_and_seven_are_refused(fraction: str) -> None:
    assert parse.parse("{at:" + FORMAT + "}", f"2024-02-29 23:59:58.{fraction}") is None
