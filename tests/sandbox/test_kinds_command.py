"""Commands in a real sandbox: arguments by a template, never a shell; results by what the definition says."""

from __future__ import annotations

import json

import pytest
from support.declared import one, run, value

from interlock.sandbox import InProcessDriver
from interlock.settings import Settings

HEAD = "kind: command\ndescription: d\naction: execute\n"


def echo(argv: str, parameters: str) -> str:
    """A tool that gives back the arguments that its program gets, one a line."""
    text = HEAD + "argv: [python3, -c, 'import sys; [print(repr(a)) for a in sys.argv[1:]]', "
    return f"{text}{argv}]\nparameters: {parameters}\nresult: lines\n"


@pytest.fixture
def quick(settings: Settings) -> InProcessDriver:
    """Templates need no cage to be looked at."""
    return InProcessDriver(
        settings.model_copy(update={"sandbox_driver": "in_process", "unsafe_in_process": "tests"})
    )


@pytest.mark.docker
async def test_command_runs_in_its_sandbox(driver, blobs) -> None:
    tool = one(
        HEAD + 'workspace: write\nargv: [sh, -c, "id -u; pwd; cat in.txt; echo out > new.txt; exit 3"]\n', "probe"
    )
    result = await run(driver, blobs, tool, _files=blobs.tree({"in.txt": b"inside\n"}))
    assert value(result) == {"exit_code": 3, "stdout": "10001\n/workspace\ninside\n", "stderr": ""}
    assert (result.stdout, result.stderr) == ("", "")  # not said twice
    assert blobs.contents(result.workspace)["new.txt"] == b"out\n"


@pytest.mark.docker
async def test_large_output_is_an_artifact(driver, blobs) -> None:
    tool = one(HEAD + 'argv: [seq, "1", "200000"]\nresult: text\n')
    result = await run(driver, blobs, tool)
    text = value(result)
    assert text.startswith("1\n2\n")
    assert text.endswith("199999\n200000\n")
    assert "the whole is artifact 'stdout.txt'" in text
    assert [a.name for a in result.artifacts] == ["stdout.txt"]
    assert blobs.get(result.artifacts[0].digest) == "".join(f"{n}\n" for n in range(1, 200_001)).encode()


@pytest.mark.docker
async def test_endless_output_ends_the_call(driver, blobs) -> None:
    result = await run(driver, blobs, one(HEAD + 'argv: ["yes"]\nresult: text\n'))
    assert result.status == "error"
    assert "printed too much" in result.error


@pytest.mark.docker
async def test_command_shows_what_it_printed_before_the_deadline(driver, blobs) -> None:
    tool = one(HEAD + 'argv: [sh, -c, "echo begun; sleep 60"]\n')
    result = await run(driver, blobs, tool, _limits={"time_s": 2})
    assert (result.status, result.stdout) == ("timeout", "begun\n")


@pytest.mark.parametrize(
    ("argv", "parameters", "given", "seen"),
    [
        ('"{a}"', "{a: string}", {"a": "$(id); `id` 'x' \"y\" *"}, ["$(id); `id` 'x' \"y\" *"]),
        ('"{a}"', "{a: string}", {"a": ""}, [""]),
        ('"--a={a}"', "{a: string}", {"a": "--b"}, ["--a=--b"]),
        ('"{{a}}"', "{a: string}", {"a": "x"}, ["{a}"]),
        ('--, "{a}"', "{a: string}", {"a": "-rf"}, ["--", "-rf"]),
        ('"{a}"', "{a: {type: string, options: true}}", {"a": "-rf"}, ["-rf"]),
        ('["-n", "{n}"]', "{n: {type: integer, optional: true}}", {}, []),
        ('["-n", "{n}"]', "{n: {type: integer, optional: true}}", {"n": 0}, ["-n", "0"]),
        ("{when: v, argv: [-v]}", "{v: {type: boolean, optional: true}}", {"v": True}, ["-v"]),
        ("{when: v, argv: [-v]}", "{v: {type: boolean, optional: true}}", {"v": False}, []),
        ("{when: v, argv: [-v]}", "{v: {type: boolean, optional: true}}", {}, []),
        ('"{l}"', "{l: {type: list}}", {"l": ["a", "b c"]}, ["a", "b c"]),
        ('"--i={l}"', "{l: {type: list}}", {"l": ["a", "-b"]}, ["--i=a", "--i=-b"]),
        ('"{l}"', "{l: {type: list}}", {"l": []}, []),
        ('"{b}-{n}"', "{b: boolean, n: integer}", {"b": True, "n": 3}, ["true-3"]),
    ],
)
async def test_each_argument_is_one_element(quick, blobs, argv, parameters, given, seen) -> None:
    assert value(await run(quick, blobs, one(echo(argv, parameters)), **given)) == [repr(a) for a in seen]


@pytest.mark.parametrize(
    ("argv", "parameters", "given", "told"),
    [
        ('"{a}"', "{a: string}", {"a": "-rf"}, "would be taken for an option"),
        ('"{l}"', "{l: {type: list}}", {"l": ["a", "--exec"]}, "would be taken for an option"),
        ('"{n}"', "{n: integer}", {"n": -1}, "would be taken for an option"),
        ('["{a}"]', "{a: {type: string, optional: true}}", {"a": "-x"}, "would be taken for an option"),
        ('"{a}"', "{a: string}", {"a": "x\0y"}, "holds a NUL"),
        ('"{p}"', "{p: path}", {"p": "../secret"}, "must be relative to the workspace"),
        ('"{p}"', "{p: path}", {"p": "/etc/passwd"}, "must be relative to the workspace"),
        ('"{p}"', "{p: {type: list, items: path}}", {"p": ["ok", "a/../../b"]}, "must be relative"),
    ],
)
async def test_value_that_would_be_more_is_refused(quick, blobs, argv, parameters, given, told) -> None:
    result = await run(quick, blobs, one(echo(argv, parameters)), **given)
    assert result.status == "error"
    assert told in result.error


@pytest.mark.parametrize(
    ("printed", "kind", "read"),
    [
        ("a\nb\n", "text", "a\nb\n"),
        ("a\nb\n", "lines", ["a", "b"]),
        ('{"a": [1, 2.50, 1e3, 99999999999999999999]}', "json", {"a": [1, "2.50", 1000, "99999999999999999999"]}),
        ('{"a": 1e999999999}', "json", {"a": "1e999999999"}),
        ("null", "json", None),
    ],
)
async def test_output_is_read_as_it_is_said(quick, blobs, printed, kind, read) -> None:
    tool = one(HEAD + f'argv: [cat]\nstdin: "{{x}}"\nparameters: {{x: string}}\nresult: {kind}\n')
    assert value(await run(quick, blobs, tool, x=printed)) == read


@pytest.mark.parametrize("printed", ["{", "NaN", '{"a": 1, "a": 2}', '{"é": 1}', "[" * 100_000, ""])
async def test_output_that_is_no_json_is_an_error(quick, blobs, printed) -> None:
    tool = one(HEAD + 'argv: [cat]\nstdin: "{x}"\nparameters: {x: string}\nresult: json\n')
    result = await run(quick, blobs, tool, x=printed)
    assert result.status == "error"
    assert "its output is no result" in result.error


async def test_json_result_must_fit_its_schema(quick, blobs) -> None:
    schema = "{type: object, required: [n], properties: {n: {type: integer}, p: {type: number}}}"
    tool = one(
        HEAD + f'argv: [cat]\nstdin: "{{x}}"\nparameters: {{x: string}}\nresult: json\nresult_schema: {schema}\n'
    )
    assert value(await run(quick, blobs, tool, x='{"n": 1, "p": 1.5}')) == {"n": 1, "p": "1.5"}
    wrong = await run(quick, blobs, tool, x='{"n": "one"}')
    assert (wrong.status, wrong.value) == ("error", None)
    assert "n: 'one' is not of type 'integer'" in wrong.error


async def test_exit_code_decides_failure(quick, blobs) -> None:
    failing = 'argv: [sh, -c, "echo out; echo why >&2; exit 2"]\n'
    result = await run(quick, blobs, one(HEAD + failing + "result: text\n"))
    assert result.status == "error"
    assert result.error == "exit code 2\nout\nwhy"
    assert value(await run(quick, blobs, one(HEAD + failing + "result: text\nok_exit_codes: [0, 2]\n"))) == "out\n"
    assert value(await run(quick, blobs, one(HEAD + failing)))["exit_code"] == 2


async def test_warnings_beside_a_result_are_kept(quick, blobs) -> None:
    tool = one(HEAD + 'argv: [sh, -c, "echo out; echo warning >&2"]\nresult: text\n')
    result = await run(quick, blobs, tool)
    assert (value(result), result.stdout, result.stderr) == ("out\n", "", "warning\n")


async def test_missing_program_is_told(quick, blobs) -> None:
    result = await run(quick, blobs, one(HEAD + "argv: [no_such_program]\n"))
    assert "'no_such_program' cannot be started: No such file or directory" in result.error


async def test_shell_script_gets_arguments_as_variables(quick, blobs) -> None:
    text = "kind: command\ndescription: d\naction: shell\nshell: true\nresult: text\n"
    tool = one(text + 'script: printf "%s" "$word" | wc -c\nparameters: {word: string}\n')
    assert value(await run(quick, blobs, tool, word="a; id #$(id)")).strip() == "12"


async def test_child_that_holds_stdout_does_not_hang(quick, blobs) -> None:
    tool = one(HEAD + 'argv: [sh, -c, "setsid sleep 20 & echo done"]\nresult: text\n')
    assert value(await run(quick, blobs, tool)) == "done\n"


async def test_variables_are_the_definitions(quick, blobs) -> None:
    tool = one(HEAD + 'argv: [sh, -c, "echo $COLOUR"]\nenvironment: {COLOUR: green}\nresult: text\n')
    assert json.dumps(value(await run(quick, blobs, tool))) == '"green\\n"'
