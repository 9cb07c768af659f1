"""Pages keep to the words of the glossary, name what exists, and stay short where they promise to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.commands import leaves

from interlock.events import EventBase

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NEVER = re.compile(r"\b(jobs?|sessions?|pipelines?)\b", re.IGNORECASE)
"""Words that the glossary has no place for; one run has one name."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_keeps_to_the_words(page: Path) -> None:
    lines = [line for line in page.read_text().splitlines() if NEVER.search(line)]
    assert not lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_help_keeps_to_the_words() -> None:
    helps = {name: command.help or "" for name, command in leaves().items()}
    assert {name: text for name, text in helps.items() if NEVER.search(text)} == {}


def test_map_for_changers_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 60


def test_glossary_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    places = re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|/))`", text)
    missing = [p for p in places if not ((ROOT / "src/interlock" / p).exists() or (ROOT / p).exists())]
    assert missing == []


def test_every_event_and_field_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "events.md").read_text()
    missing = []
    for cls in EventBase.__subclasses__():
        kind = cls.model_fields["kind"].default
        section = text.partition(f"## `{kind}`")[2].partition("\n## ")[0]
        missing += [f"{kind}.{f}" for f in cls.__annotations__ if f != "kind" and f"`{f}`" not in section]
    assert missing == []


def test_security_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text()))
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 40
    assert named - defined == set()


VERDICTS = {
    "policy": (r"\b(allow|ask|deny)\b", r"\bapproval (decision|verdict)\b"),
    "approval": (r"\b(approve|edit|reject|respond)\b", r"\bpolicy('s)? (decision|verdict)\b"),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdicts_are_not_mixed(verdict: str) -> None:
    """A glossary row, or a sentence of a page, that defines one kind of decision uses the other's words only to say
    never."""
    words, other = VERDICTS[verdict]
    mixed = []
    for page in PAGES:
        for sentence in re.split(r"(?<=[.;:])\s|\n\n|\n\|", page.read_text()):
            wrong = re.search(rf"{other} (is|are) [^.;]*{words}", " ".join(sentence.replace("*", "").split()))
            if wrong and "never" not in sentence:
                mixed.append((page.name, sentence))
    assert mixed == []
