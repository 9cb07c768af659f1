"""A policy bundle: everything in permissions/ as one immutable value with a digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from interlock.digest import digest_bytes
from interlock.errors import InvalidInput, PolicyError
from interlock.policy.compiled import CompiledRule, compile_rule
from interlock.policy.content import Content, read_content, write_content
from interlock.policy.crosscheck import cross_check
from interlock.policy.enforcer import MODEL, Pdp
from interlock.policy.entries import Price, RouteEntry, Rule
from interlock.policy.people import People
from interlock.policy.problems import did_you_mean
from interlock.types.access import Route
from interlock.types.names import Digest
from interlock.types.profile import Profile

_RANK = {"deny": 0, "ask": 1, "allow": 2}


@dataclass(frozen=True, eq=False)
class Bundle:
    """Loaded once, never changed; a policy change is a new bundle."""

    data: bytes = field(repr=False)
    """Canonical JSON."""
    people: People = field(repr=False)
    """Users with their tenants, groups, roles."""
    routes: Mapping[str, RouteEntry] = field(repr=False)
    profiles: Mapping[str, Profile] = field(repr=False)
    prices: Mapping[str, Price] = field(repr=False)
    """Model → what its tokens cost."""
    rules: tuple[CompiledRule, ...] = field(repr=False)
    """Strongest first, each with its `source` (`file:line`)."""
    sources: Mapping[str, str] = field(repr=False)
    """`routes:NAME`, `rules:ID`, … → `file:line`."""
    pdp: Pdp = field(repr=False)
    """Casbin, with this bundle's rows."""

    @classmethod
    def from_content(cls, content: Content) -> Bundle:
        """Build from content whose references all resolve."""
        sources = content.sources
        compiled = (compile_rule(r, sources[f"rules:{r.id}"], content.zones) for r in content.rules.values())
        ranked = tuple(sorted(compiled, key=lambda rule: _strength(rule.rule, content.routes)))
        return cls(
            data=write_content(content, MODEL),
            people=People.of(content),
            routes=MappingProxyType(dict(sorted(content.routes.items()))),
            profiles=MappingProxyType(dict(sorted(content.profiles.items()))),
            prices=MappingProxyType(dict(sorted(content.prices.items()))),
            rules=ranked,
            sources=MappingProxyType(dict(sources)),
            pdp=Pdp(ranked),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """The bundle that `to_bytes` wrote, so that old decisions can be made again.

        Raises:
            PolicyError: not such bytes, or of another version of the semantics or the model.
        """
        content = read_content(data, MODEL)
        findings = tuple(f"{f.section}:{f.name}: {f.message}" for f in cross_check(content))
        if findings:
            raise PolicyError("the bundle's references do not resolve", problems=findings)
        try:
            return cls.from_content(content)
        except (KeyError, ValueError) as error:
            raise PolicyError(f"the bundle lacks a part: {error}") from error

    def to_bytes(self) -> bytes:
        """Canonical JSON over all of it; what `digest` covers."""
        return self.data

    @cached_property
    def digest(self) -> Digest:
        """Digest of `to_bytes()`."""
        return digest_bytes(self.data)

    @cached_property
    def rule_by_id(self) -> Mapping[str, CompiledRule]:
        """Rules by id."""
        return MappingProxyType({rule.id: rule for rule in self.rules})

    def route(self, name: str, *, tenant: str = "", requester: str = "") -> Route:
        """A route, resolved to people.

        Args:
            name: the route.
            tenant: only people of this tenant; empty: of any.
            requester: left out of the approvers, since nobody approves their own call.

        Raises:
            InvalidInput: there is no such route.
        """
        entry = self.routes.get(name)
        if entry is None:
            raise InvalidInput(f"unknown route {name!r}{did_you_mean(name, self.routes)}")
        approvers = tuple(
            user
            for user in self.people.expand(entry.approvers)
            if user != requester and (not tenant or self.people.is_known(user, tenant))
        )
        return Route(name=name, approvers=approvers, quorum=entry.quorum, expires_after_s=entry.expires_after_s)


def _strength(rule: Rule, routes: Mapping[str, RouteEntry]) -> tuple[int, int, int, str]:
    """Sorts deny before ask before allow; of asks, the larger quorum and then the shorter deadline first."""
    route = routes.get(rule.route or "")
    quorum, deadline = (route.quorum, route.expires_after_s) if route else (0, 0)
    return _RANK[rule.effect], -quorum, deadline, rule.id
