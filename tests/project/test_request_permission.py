"""The tool by which an agent asks for a rule."""

import pytest
from interlock_project.tools.request_permission import request_permission


def test_request_says_that_nothing_changed() -> None:
    said = request_permission("edit_file", "the version is in setup.cfg, which I must not edit")
    assert "edit_file" in said
    assert "stays denied" in said


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_reason_that_nobody_could_review_is_refused(reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        request_permission("edit_file", reason)
