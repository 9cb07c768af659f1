"""The manifest: every part by digest, every digest a blob."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from interlock.definitions import Manifest, ToolSchema
from interlock.digest import digest_bytes
from interlock.errors import ProjectError
from interlock.project import compile_manifest
from interlock.settings import Settings

Change = Callable[[str, str, str], Path]
POLICY = digest_bytes(b"policy")


class Kept(dict[str, bytes]):
    """A blob store in memory."""

    def put(self, data: bytes) -> str:
        self[digest_bytes(data)] = data
        return digest_bytes(data)

    def has(self, digest: str) -> bool:
        return digest in self

    def get(self, digest: str) -> bytes:  # type: ignore[override]
        return self[digest]


def compiler(sources: Mapping[str, bytes]) -> Mapping[str, ToolSchema]:
    """Stands for the sandbox: tests/sandbox has the real one."""
    return {
        name: ToolSchema(
            name=name.removesuffix(".py"),
            description="x",
            parameters={},
            result={},
            action="read",
            resource="x",
            workspace="none",
            effects="contained",
            idempotent=False,
            profile="default",
            preview="arguments",
            sentence="",
        )
        for name in sources
    }


def compiled(root: Path, blobs: Kept | None = None) -> Manifest:
    return compile_manifest(
        root,
        Settings(root=root, name="p"),
        compiler=compiler,
        policy=POLICY,
        images={"default": "sha256:1"},
        blobs=blobs,
    )


def test_every_digest_is_a_blob(project: Path) -> None:
    blobs = Kept()
    manifest = compiled(project, blobs)
    agent, tool, workflow = manifest.agents["reader"], manifest.tools["look"], manifest.workflows["reading"]
    pinned = {
        agent.source: "agents/reader.py",
        agent.prompt: "agents/reader.md",
        agent.playbook: "agents/reader.playbook.yaml",
        tool.source: "tools/look.py",
        workflow.source: "workflows/reading.py",
    }
    for digest, path in pinned.items():
        assert blobs[digest] == (project / path).read_bytes()
    assert b"loop.py" in blobs[agent.graph]
    assert Manifest.model_validate_json(blobs[manifest.digest]) == manifest
    assert (manifest.policy, manifest.project, manifest.images) == (POLICY, "p", {"default": "sha256:1"})


def test_manifest_without_store_has_the_same_digest(project: Path) -> None:
    assert compiled(project).digest == compiled(project, Kept()).digest


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("agents/reader.md", "You read.", "You write."),
        ("agents/reader.playbook.yaml", "I look.", "I see."),
        ("agents/reader.py", "reader = agent(", "reader = agent(  # changed"),
        ("tools/look.py", "Look at a file.", "Look."),
        ("workflows/reading.py", 'description: str = ""', 'description: str = "x"'),
    ],
)
def test_any_change_changes_the_digest(project: Path, change: Change, path: str, old: str, new: str) -> None:
    before = compiled(project).digest
    assert compiled(change(path, old, new)).digest != before


def test_prompt_text_is_kept_as_it_is(change: Change) -> None:
    blobs = Kept()
    manifest = compiled(change("agents/reader.py", '"reader.md"', '"You read."'), blobs)
    assert blobs[manifest.agents["reader"].prompt] == b"You read."


def test_own_graph_is_pinned_by_its_file(change: Change) -> None:
    manifest = compiled(change("agents/reader.py", 'tools=["look"],', 'tools=["look"],\n    graph=dict,'))
    agent = manifest.agents["reader"]
    assert agent.custom
    assert agent.graph == agent.source


def test_unknown_names_make_no_manifest(change: Change) -> None:
    change("agents/reader.py", '"look"', '"loook"')
    root = change("workflows/reading.py", '("reader",)', '("raeder",)')
    with pytest.raises(ProjectError) as error:
        compiled(root, blobs := Kept())
    assert error.value.problems == (
        "agents/reader.py:1: unknown tool 'loook' (did you mean 'look'?)",
        "workflows/reading.py:1: unknown agent 'raeder' (did you mean 'reader'?)",
    )
    assert blobs == {}


def test_tool_that_does_not_compile_stops_everything(project: Path) -> None:
    class Refusal:
        line, message = 5, "float is not allowed"

    with pytest.raises(ProjectError, match=r"tools/look\.py:5: float is not allowed"):
        compile_manifest(
            project,
            Settings(root=project, name="p"),
            compiler=lambda sources: {name: Refusal() for name in sources},
            policy=POLICY,
            images={},
        )
