"""What people write in permissions/: users, groups, roles, routes, profiles, rules. Closed models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from interlock.policy.conditions import Condition
from interlock.policy.operands import Many, Number, PatternText
from interlock.policy.patterns import resource_pattern, tool_pattern
from interlock.policy.routes import Attributes, Calendar, RouteEntry
from interlock.policy.subjects import (
    AgentReference,
    ApproverReference,
    MemberReference,
    PersonName,
    PersonReference,
)
from interlock.policy.written import day
from interlock.types.access import Limits
from interlock.types.closed import Closed
from interlock.types.egress import Credential, WrittenRule
from interlock.types.names import Name
from interlock.types.profile import Profile


def _tenant(text: str) -> str:
    if text != "*" and not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text, re.ASCII):
        raise ValueError(f"{text!r} must be one tenant's name, or '*' for every tenant")
    return text


def _action(text: str) -> str:
    if text != "*" and not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text, re.ASCII):
        raise ValueError(f"{text!r} must be an action's name such as 'read', or '*' for every action")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,95}$")]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43,2048}$")]
Line = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]


class User(Closed):
    """A person. Whoever is not here may do nothing and approve nothing."""

    name: PersonName
    tenants: Many[Name]
    """The tenants in which this person may act and approve."""
    attributes: Attributes | None = None
    """What else is known of them, which a route may ask for: `{level: senior}`."""
    passkeys: Many[PublicKey] | None = None
    """Public keys of their passkeys; where they are given, no other signs this person's decisions."""


class Group(Closed):
    """People or agents who belong together: `group:NAME`."""

    name: PersonName
    members: Many[MemberReference]


class Role(Closed):
    """What people or agents may be: `role:NAME`. Members inherit it through groups and other roles."""

    name: PersonName
    members: Many[MemberReference]


OBLIGATIONS: Final = ("profile", "egress", "credentials", "limits", "redact")
"""Keys of a rule that say how a call must run; they have no meaning where it does not."""


class Rule(Closed):
    """Who may do what to which resource under which conditions."""

    id: RuleId
    effect: Literal["allow", "ask", "deny"]
    """deny beats ask, ask beats allow; what no rule allows is denied."""
    owner: Annotated[Line, Field(min_length=1)]
    """The team that answers for this rule."""
    note: Line = ""
    """Why; a denied agent and an approver read it."""
    agent: Many[AgentReference] | None = None
    """Who acts. Required to allow or ask (`agent:*` is every agent); a deny rule without it means everyone."""
    requester: Many[PersonReference] | None = None
    """For whom. Left out: every known user of the tenant; in a deny rule: everyone."""
    tenant: Many[Annotated[str, AfterValidator(_tenant)]] = ("*",)
    """Exact names; `*` is every tenant."""
    tool: Many[Annotated[str, AfterValidator(tool_pattern)]] | None = None
    """Tool patterns. Required to allow or ask; a deny rule without it means every tool."""
    action: Many[Annotated[str, AfterValidator(_action)]] = ("*",)
    """The tool's declared verb."""
    resource: Many[Annotated[str, AfterValidator(resource_pattern)]] = ("*",)
    """Patterns of what the call acts on: `workspace:source/**`."""
    when: Annotated[tuple[Condition, ...], Field(max_length=100)] = ()
    """Conditions, all of which must hold."""
    route: Name | None = None
    """Who must approve; required with ask, and only there."""
    guardrail: bool = False
    """Only with ask: makes stricter what another rule allows or asks, and grants nothing by itself."""
    profile: Name | None = None
    """Sandbox profile that replaces the tool's own."""
    egress: Many[WrittenRule] | None = None
    """What the call may reach, and nothing else. A host alone (`api.example.org`) may be read from by HTTPS;
    `*.example.org` is every host below that domain."""
    credentials: Many[Name] | None = None
    """Credentials of the tool that the egress proxy may add to its requests."""
    limits: Limits | None = None
    """Limits that are tighter than those of the profile."""
    redact: Many[PatternText] | None = None
    """What these RE2 patterns match is taken out of the call's output."""
    notify: Many[ApproverReference] | None = None
    """Who is told that such a call was decided."""
    expires: Annotated[date, BeforeValidator(day)] | None = None
    """First day, UTC, on which the rule counts no more: `2027-01-31`."""
    ticket: Line = ""
    """Where it was asked for: `SEC-123`, a link."""

    @model_validator(mode="after")
    def _fits_its_effect(self) -> Self:
        for key in sorted(self.model_fields_set):
            if getattr(self, key) is None:
                raise ValueError(f"{key!r} is empty: give it a value or leave it out")
        if self.effect != "deny":
            for key in ("agent", "tool"):
                if getattr(self, key) is None:
                    every = "agent:*" if key == "agent" else "**"
                    raise ValueError(f"a rule that can {self.effect} needs {key!r} ({every!r} means every {key})")
        if (self.effect == "ask") != (self.route is not None):
            raise ValueError("'route' is needed by a rule that asks, and by no other")
        if self.guardrail and self.effect != "ask":
            raise ValueError(
                "'guardrail' goes with effect ask: a rule that denies is always one, one that allows never"
            )
        for key in OBLIGATIONS if self.effect == "deny" else ():
            if getattr(self, key) is not None:
                raise ValueError(f"{key!r} has no meaning in a rule that denies")
        return self


class Price(Closed):
    """What a model's tokens cost, in one currency for all prices."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
    """The model as agents name it: `openai:gpt-5`."""
    input: Number
    """For a million tokens that it reads."""
    output: Number
    """For a million tokens that it writes."""

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if self.input < 0 or self.output < 0:
            raise ValueError("a price must be at least 0")
        return self


Entry = Credential | Price | User | Group | Role | Calendar | RouteEntry | Profile | Rule


def read_profile(value: Any) -> Profile:
    """A profile as written or stored: `cpus` is a decimal there, and no number is taken from text or bool.

    Raises:
        pydantic.ValidationError: it does not fit.
    """
    if isinstance(value, dict) and isinstance(cpus := value.get("cpus"), Decimal):
        value = {**value, "cpus": float(cpus)}
    return Profile.model_validate(value, strict=True)


def write_profile(profile: Profile) -> dict[str, Any]:
    """The profile as canonical JSON can hold it."""
    return {**profile.model_dump(mode="json"), "cpus": {"decimal": format(Decimal(repr(profile.cpus)), "f")}}


SECTIONS: Final[Mapping[str, type[Entry]]] = MappingProxyType(
    {
        "users": User,
        "groups": Group,
        "roles": Role,
        "calendars": Calendar,
        "routes": RouteEntry,
        "profiles": Profile,
        "prices": Price,
        "credentials": Credential,
        "rules": Rule,
    }
)
"""The keys that a policy file may have, and what each lists."""


def read_entry(section: str, value: Any) -> Entry:
    """One item of a section.

    Raises:
        pydantic.ValidationError: it does not fit.
    """
    return read_profile(value) if section == "profiles" else SECTIONS[section].model_validate(value)


def name_of(entry: Entry) -> str:
    """The name that is unique in the entry's section."""
    return entry.id if isinstance(entry, Rule) else entry.name
