"""The driver without isolation behaves like the real one where the rest of Interlock looks."""

from __future__ import annotations

import os

import pytest

from interlock.sandbox import InProcessDriver
from interlock.settings import Settings
from interlock.types import Profile


@pytest.fixture
async def in_process():
    driver = InProcessDriver(Settings(sandbox_driver="in_process", unsafe_in_process="tests"))
    yield driver
    await driver.close()


async def test_result_output_and_artifacts_are_there(in_process, blobs, make_call):
    before = os.getcwd()
    call = make_call("print('out'); print('err', file=sys.stderr); artifact('a', 'x'); return 5", returns="int")
    result = await in_process.run(call, blobs)
    assert (result.status, result.value, result.stdout, result.stderr) == ("ok", b"5", "out\n", "err\n")
    assert [(a.name, blobs.get(a.digest)) for a in result.artifacts] == [("a", b"x")]
    assert os.getcwd() == before
    assert "INTERLOCK_ARTIFACTS" not in os.environ


async def test_workspace_goes_in_and_out(in_process, blobs, make_call):
    body = "open('b', 'w').write(open('a').read() * 2)\nos.remove('a')"
    call = make_call(body, workspace=blobs.tree({"a": b"x", "c": b""}), workspace_use="write")
    result = await in_process.run(call, blobs)
    assert blobs.contents(result.workspace) == {"b": b"xx", "c": b""}


@pytest.mark.parametrize(
    ("body", "returns", "said"),
    [
        ("raise ValueError('no')", "None", "ValueError: no"),
        ("return 1.5", "int", "float"),
        ("sys.exit()", "None", ""),
    ],
)
async def test_failure_is_a_result(in_process, blobs, make_call, body, returns, said):
    tree = blobs.tree({"a": b"x"})
    call = make_call("os.remove('a')\n" + body, returns=returns, workspace=tree, workspace_use="write")
    result = await in_process.run(call, blobs)
    assert (result.status, result.value, result.workspace) == ("error", None, tree)
    assert said in result.error


async def test_it_does_not_claim_to_contain(in_process, driver):
    assert in_process.contained(Profile(name="default")) is False
    assert driver.contained(Profile(name="default")) is True


def test_its_docstring_says_so():
    assert InProcessDriver.__doc__.startswith("ISOLATES NOTHING")
