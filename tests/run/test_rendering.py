"""What a model is shown of a result that is too large for it."""

from __future__ import annotations

from interlock.run.rendering import LARGEST_SHOWN, shortened


def test_small_result_is_shown_whole() -> None:
    assert shortened("x" * LARGEST_SHOWN, "c1") == ("x" * LARGEST_SHOWN, "")


def test_large_result_is_head_and_tail() -> None:
    text = "".join(f"{number}\n" for number in range(20_000))
    shown, name = shortened(text, "c7")
    assert name == "output.txt"
    assert len(shown) < LARGEST_SHOWN + 300
    assert shown.startswith("0\n1\n")
    assert shown.endswith("19998\n19999\n")
    assert f"of {len(text)} characters left out here; the whole is artifact 'output.txt' of call 'c7'" in shown


def test_name_of_another_artifact_is_not_taken() -> None:
    assert shortened("x" * 99_999, "c1", {"output.txt", "2-output.txt"})[1] == "3-output.txt"
