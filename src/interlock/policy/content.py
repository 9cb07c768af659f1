"""The content of a bundle: every entry by section and name; and its canonical form."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from interlock.digest import canonical, parse
from interlock.errors import InvalidInput, PolicyError
from interlock.policy.entries import (
    SECTIONS,
    Entry,
    Group,
    Price,
    Role,
    Rule,
    User,
    name_of,
    read_entry,
    write_profile,
)
from interlock.policy.routes import Calendar, RouteEntry
from interlock.policy.zones import zone_data
from interlock.types.egress import Credential
from interlock.types.profile import Profile

SEMANTICS: Final = 2
"""Version of docs/policy.md and of the operators. A bundle of another version is not decided by this code."""

LATER: Final = frozenset({"calendars"})
"""Sections that the first bundles did not have: an empty one is left out, so that those keep their digests."""

MAX_BUNDLE_BYTES: Final = 512 * 1024 * 1024


@dataclass(slots=True)
class Content:
    """All entries, by name, and where each was written."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    routes: dict[str, RouteEntry] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    """`rules:ID`, `routes:NAME`, … → `file:line`."""
    zones: dict[str, str] = field(default_factory=dict)
    """Time zones that conditions and calendars use, compiled, in base64."""

    def section(self, name: str) -> dict[str, Any]:
        """The entries of one section."""
        found: dict[str, Any] = getattr(self, name)
        return found

    def add(self, section: str, entry: Entry, source: str) -> None:
        """Take up an entry; the caller has seen to it that the name is new."""
        self.section(section)[name_of(entry)] = entry
        self.sources[f"{section}:{name_of(entry)}"] = source

    def load_zones(self) -> None:
        """Carry the zones that conditions and calendars name."""
        windows = (c.time_between for rule in self.rules.values() for c in rule.when if c.time_between)
        named = {window.zone for window in windows} | {one.zone for one in self.calendars.values()}
        self.zones = {zone: zone_data(zone) for zone in sorted(named)}


def write_content(content: Content, model: str) -> bytes:
    """The canonical bytes: what the bundle's digest covers."""
    value: dict[str, Any] = {"v": 1, "semantics": SEMANTICS, "model": model}
    for section in SECTIONS:
        entries = [_stored(entry) for _, entry in sorted(content.section(section).items())]
        if entries or section not in LATER:
            value[section] = entries
    return canonical({**value, "sources": content.sources, "zones": _sorted(content)}, max_bytes=MAX_BUNDLE_BYTES)


def _sorted(content: Content) -> list[list[str]]:
    return [[name, data] for name, data in sorted(content.zones.items())]


def _stored(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Profile):
        return write_profile(entry)
    # Only the entry's own absent keys are dropped: a null operand of a condition has a meaning.
    return {key: value for key, value in entry.model_dump(mode="json", by_alias=True).items() if value is not None}


def read_content(data: bytes, model: str) -> Content:
    """Read what `write_content` wrote, for the same model.

    Raises:
        PolicyError: not a bundle of this version, or not in canonical form.
    """
    try:
        value = _revived(parse(data))
        if (value["v"], value["semantics"], value["model"]) != (1, SEMANTICS, model):
            raise PolicyError("the bundle was made for other semantics or another Casbin model than this engine's")
        content = Content(sources=_texts(value["sources"]), zones=_texts(dict(value["zones"])))
        for section in SECTIONS:
            items = value.get(section, ()) if section in LATER else value[section]
            entries = [read_entry(section, item) for item in items]
            content.section(section).update({name_of(entry): entry for entry in entries})
    except (InvalidInput, KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"not a policy bundle: {error}") from error
    if write_content(content, model) != data:
        raise PolicyError("the bundle is not in canonical form")
    return content


def _texts(value: Any) -> dict[str, str]:
    if not (isinstance(value, dict) and all(isinstance(text, str) for text in (*value, *value.values()))):
        raise TypeError("'sources' and 'zones' hold text by name")
    return value


def _revived(value: Any) -> Any:
    """Profiles hold `{"decimal": …}` where the authored form has a decimal."""
    for profile in value["profiles"]:
        profile["cpus"] = Decimal(profile["cpus"]["decimal"])
    return value
