"""A policy bundle: everything in permissions/ as one immutable value with a digest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

from interlock.digest import digest_bytes
from interlock.errors import InvalidInput, PolicyError
from interlock.policy.compiled import CompiledRule, compile_rule
from interlock.policy.conditions import Condition
from interlock.policy.content import Content, read_content, write_content
from interlock.policy.crosscheck import cross_check
from interlock.policy.enforcer import MODEL, Pdp
from interlock.policy.entries import Price, Rule
from interlock.policy.people import People
from interlock.policy.problems import did_you_mean
from interlock.policy.resolving import EPOCH, Resolver
from interlock.policy.routes import Calendar, RouteEntry
from interlock.policy.rulebook import Entry, Rulebook, entry_of
from interlock.policy.stored import Packed, no_collection, read_stored
from interlock.types.egress import Credential
from interlock.types.names import Digest
from interlock.types.profile import Profile
from interlock.types.route import Route


@dataclass(frozen=True, eq=False)
class Bundle:
    """Loaded once, never changed; a policy change is a new bundle."""

    data: bytes = field(repr=False)
    """Canonical JSON."""
    people: People = field(repr=False)
    """Users with their tenants, groups, roles."""
    routes: Mapping[str, RouteEntry] = field(repr=False)
    calendars: Mapping[str, Calendar] = field(repr=False)
    zones: Mapping[str, str] = field(repr=False)
    """The rules of the time zones that conditions and calendars name."""
    profiles: Mapping[str, Profile] = field(repr=False)
    prices: Mapping[str, Price] = field(repr=False)
    """Model → what its tokens cost."""
    credentials: Mapping[str, Credential] = field(repr=False)
    """What the egress proxy can add to requests: where each secret is read, where it may be sent."""
    book: Rulebook = field(repr=False)
    """The rules, strongest first, each compiled when it is first needed."""
    sources: Mapping[str, str] = field(repr=False)
    """`routes:NAME`, `rules:ID`, … → `file:line`."""
    pdp: Pdp = field(repr=False)
    """Casbin, with this bundle's rows."""

    @classmethod
    def from_content(cls, content: Content) -> Bundle:
        """Build from content whose references all resolve."""
        entries = [entry_of(rule, content.routes) for rule in content.rules.values()]
        bundle = cls._of(content, write_content(content, MODEL), entries)
        deque(bundle.book, maxlen=0)  # what cannot be compiled is refused now
        return bundle

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """The bundle that `to_bytes` wrote, so that old decisions can be made again.

        Raises:
            PolicyError: not such bytes, or of another version of the semantics or the model.
        """
        with no_collection():
            stored = read_stored(data, MODEL)
            if stored is not None:
                return cls._of(stored.content, data, stored.entries)
        # Whatever is wrong with it, or only unusual, is found and told by reading it rule by rule.
        content = read_content(data, MODEL)
        if not isinstance(content.sources, dict) or not all(type(at) is str for at in content.sources.values()):
            raise PolicyError("the bundle's 'sources' must say in text where each entry was written")
        findings = tuple(f"{f.section}:{f.name}: {f.message}" for f in cross_check(content))
        if findings:
            raise PolicyError("the bundle's references do not resolve", problems=findings)
        try:
            return cls.from_content(content)
        except (KeyError, ValueError) as error:
            raise PolicyError(f"the bundle lacks a part: {error}") from error

    @classmethod
    def _of(cls, content: Content, data: bytes, entries: Sequence[Entry]) -> Bundle:
        sources, zones = MappingProxyType(dict(content.sources)), dict(content.zones)

        def compiled(origin: Rule | Packed) -> CompiledRule:
            rule = origin.rule() if isinstance(origin, Packed) else origin
            return compile_rule(rule, sources[f"rules:{rule.id}"], zones)

        book = Rulebook(entries, compiled)
        return cls(
            data=data,
            people=People.of(content),
            routes=MappingProxyType(dict(sorted(content.routes.items()))),
            calendars=MappingProxyType(dict(sorted(content.calendars.items()))),
            zones=MappingProxyType(zones),
            profiles=MappingProxyType(dict(sorted(content.profiles.items()))),
            prices=MappingProxyType(dict(sorted(content.prices.items()))),
            credentials=MappingProxyType(dict(sorted(content.credentials.items()))),
            book=book,
            sources=sources,
            pdp=Pdp(book),
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON over all of it; what `digest` covers."""
        return self.data

    @cached_property
    def digest(self) -> Digest:
        """Digest of `to_bytes()`."""
        return digest_bytes(self.data)

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """All rules, strongest first, each with its `source` (`file:line`). Compiles every one."""
        return tuple(self.book)

    @cached_property
    def rule_by_id(self) -> Mapping[str, CompiledRule]:
        """All rules by id. Compiles every one; `rule` compiles the one that it gives."""
        return MappingProxyType({rule.id: rule for rule in self.rules})

    def rule(self, rule_id: str) -> CompiledRule | None:
        """The rule of this id, if there is one."""
        position = self.book.positions.get(rule_id)
        return None if position is None else self.book[position]

    def rules_about(self, test: Callable[[Condition], bool]) -> tuple[CompiledRule, ...]:
        """The rules that have a condition which passes the test, strongest first; no other is compiled."""
        return self.book.about(test)

    def route(self, name: str, *, tenant: str = "", requester: str = "", at: datetime | None = None) -> Route:
        """A route, resolved to people.

        Args:
            name: the route.
            tenant: only people of this tenant; empty: of any.
            requester: left out of the approvers, since nobody approves their own call.
            at: when it is asked; needed where a calendar counts, None: at the beginning of 2026.

        Raises:
            InvalidInput: there is no such route.
        """
        entry = self.routes.get(name)
        if entry is None:
            raise InvalidInput(f"unknown route {name!r}{did_you_mean(name, self.routes)}")
        return Resolver(self.people, self.calendars, self.zones, tenant, requester, at or EPOCH).route(entry)
