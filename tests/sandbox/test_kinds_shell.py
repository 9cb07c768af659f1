"""A run's shell: a process for each call, and what goes on between them."""

from __future__ import annotations

from typing import Any

import pytest
from support.declared import one, run, value

from interlock.sandbox import InProcessDriver
from interlock.sandbox.guest.kinds.shell import LARGEST_STATE, STATE
from interlock.settings import Settings
from interlock.types import Tree

BASH = "kind: shell\ndescription: d\n"


@pytest.fixture
def quick(settings: Settings) -> InProcessDriver:
    return InProcessDriver(
        settings.model_copy(update={"sandbox_driver": "in_process", "unsafe_in_process": "tests"})
    )


async def lines(
    driver: Any, blobs: Any, *commands: str, shell: str = "bash", tree: Tree | None = None
) -> list[Any]:
    """Each command in turn, each with the files that the one before left."""
    tool, found = one(f"{BASH}shell: {shell}\n"), []
    tree = tree or Tree()
    for command in commands:
        result = await run(driver, blobs, tool, command=command, _files=tree)
        found.append(value(result))
        tree = result.workspace
    return found


@pytest.mark.docker
async def test_state_goes_on_in_a_new_container(driver, blobs) -> None:
    first, second = await lines(
        driver,
        blobs,
        'mkdir -p a/b && touch a/b/f && cd a/b; export COLOUR="it\'s green"; greet() { echo hello $1; }; plain=1',
        'pwd; echo "$COLOUR"; greet you; echo "[$plain]"; ls; id -u',
    )
    assert first == {"exit_code": 0, "stdout": "", "stderr": ""}
    assert second["stdout"] == "/workspace/a/b\nit's green\nhello you\n[]\nf\n10001\n"


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_folder_and_variables_go_on(quick, blobs, shell) -> None:
    before, after = 'mkdir "a\'b"; touch "a\'b/f"; cd "a\'b"; export X=\'1 $y\'', 'echo "$X"; ls'
    assert (await lines(quick, blobs, before, after, shell=shell))[1]["stdout"] == "1 $y\nf\n"


async def test_way_out_of_a_call_is_its_own(quick, blobs) -> None:
    found = await lines(quick, blobs, "export http_proxy=http://before", 'echo "[${http_proxy-none}]"')
    assert "before" not in found[1]["stdout"]


async def test_exit_code_and_output_are_the_commands(quick, blobs) -> None:
    (found,) = await lines(quick, blobs, "echo out; echo err >&2; exit 7")
    assert found == {"exit_code": 7, "stdout": "out\n", "stderr": "err"}


async def test_exit_keeps_the_state(quick, blobs) -> None:
    assert (await lines(quick, blobs, "export A=1; exit 3", "echo $A"))[1]["stdout"] == "1\n"


async def test_failed_command_does_not_end_the_shell(quick, blobs) -> None:
    found = await lines(quick, blobs, "set -e; export A=1; false; export A=2", "echo $A; false; echo on")
    assert found[0]["exit_code"] == 1
    assert found[1]["stdout"] == "1\non\n"


async def test_folder_that_is_gone_is_told(quick, blobs) -> None:
    # An empty folder is no file, so the workspace does not keep it.
    second = (await lines(quick, blobs, "mkdir empty; cd empty", "pwd; echo still works"))[1]
    assert second["stdout"].endswith("still works\n")
    assert "empty" in second["stderr"]


async def test_replaced_shell_keeps_the_state_before(quick, blobs) -> None:
    found = await lines(quick, blobs, "export A=1", "export A=2; exec true", "echo $A")
    assert "did not end by itself" in found[1]["stderr"]
    assert found[2]["stdout"] == "1\n"


async def test_large_state_is_not_kept(quick, blobs) -> None:
    body = f"$(head -c {LARGEST_STATE // 20} /dev/zero | tr '\\0' x)"
    grown = f'export A=1; for n in $(seq 30); do eval "f$n() {{ : {body}; }}"; done'
    found = await lines(quick, blobs, "export A=0", grown, "echo $A")
    assert "so they stay as before" in found[1]["stderr"]
    assert found[2]["stdout"] == "0\n"


async def test_planted_large_state_is_dropped(quick, blobs) -> None:
    tree = blobs.tree({STATE: b"#" * (LARGEST_STATE + 1)})
    (found,) = await lines(quick, blobs, "echo on", tree=tree)
    assert found["stdout"] == "on\n"
    assert "was dropped: this call began anew" in found["stderr"]


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_broken_state_does_not_stop_the_shell(quick, blobs, shell) -> None:
    tree = blobs.tree({STATE: b"if then ((\n\x00\xff"})
    assert (await lines(quick, blobs, "echo on", shell=shell, tree=tree))[0]["stdout"] == "on\n"


async def test_long_command_fits(quick, blobs) -> None:
    (found,) = await lines(quick, blobs, f"# {'é' * 65_000}\necho on")
    assert found["stdout"] == "on\n"


async def test_state_is_a_file_of_the_run(quick, blobs) -> None:
    tool = one(BASH)
    result = await run(quick, blobs, tool, command="export A=1")
    assert list(result.workspace.files) == [STATE]


async def test_command_is_no_part_of_the_wrapper(quick, blobs) -> None:
    (found,) = await lines(quick, blobs, "echo \"'\"; echo '\"'; ")
    assert found["stdout"] == "'\n\"\n"
