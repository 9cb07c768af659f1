"""The narrowest rule that covers calls that were seen: from a record, or for the one call that was just denied."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, Literal

from pydantic import JsonValue

from interlock.digest import canonical
from interlock.errors import InvalidInput
from interlock.policy.entries import OBLIGATIONS, Rule
from interlock.policy.normal import ConditionError, path
from interlock.policy.people import People
from interlock.policy.rule_yaml import rule_yaml
from interlock.types.access import AccessRequest
from interlock.types.closed import Closed

FEW: Final = 5
"""So many different values are listed; of more, none is."""
LONGEST: Final = 120
"""Text that is longer, or not on one line, is content and not a value to compare with."""
WITHHELD: Final = frozenset({"secret"})
"""Labels of data that must not be copied into a policy file."""

_LIKE: Final = (*OBLIGATIONS, "notify")
_MOST_NAMED: Final = 1000
"""A rule lists at most so many people."""


class Suggestion(Closed):
    """A rule, and how far it goes beyond what was seen."""

    rule: Rule
    requests: int
    """How many calls it was made from."""
    remarks: tuple[str, ...]
    """Where it is wider than these calls, and why."""

    @property
    def yaml(self) -> str:
        """The rule as an item of `rules`, the remarks above it."""
        comments = "".join(f"  # {remark}\n" for remark in self.remarks)
        return comments + rule_yaml(self.rule)


def suggest_rule(
    requests: Sequence[AccessRequest],
    people: People,
    *,
    effect: Literal["allow", "ask"] = "allow",
    route: str = "",
    owner: str = "",
    like: Rule | None = None,
    taken: Collection[str] = (),
) -> Suggestion:
    """The narrowest rule under which all these calls come to `effect`.

    Args:
        requests: calls of one tool by one agent; at least one.
        people: who has which role.
        effect: what it should do.
        route: who is asked, where it asks.
        owner: who will answer for the rule; else the owner of `like`.
        like: a rule whose obligations it takes over: route, profile, egress, limits, redaction, notices.
        taken: ids that other rules have.

    Raises:
        InvalidInput: no call, or calls of several tools or agents; or `ask` without a route.
    """
    first = _same(requests)
    requesters, remarks = _requesters(requests, people)
    conditions = list(_conditions(requests))
    remarks += [remark for _, remark in conditions if remark]
    route = route or (like.route if like and effect == "ask" else None) or ""
    if (effect == "ask") != bool(route):
        raise InvalidInput("a rule that asks needs a route, and no other does")
    terms = {key: own for key in _LIKE if like and (own := getattr(like, key)) is not None}
    value: dict[str, Any] = {
        "id": _free(f"suggested_{first.agent.removeprefix('agent:')}_{first.tool}", taken),
        "effect": effect,
        "owner": owner or (like.owner if like else "") or "nobody yet",
        "note": _note(requests),
        "agent": first.agent,
        "requester": requesters,
        "tenant": sorted({request.tenant for request in requests}),
        "tool": first.tool,
        "action": sorted({request.action for request in requests}),
        **({"when": when} if (when := [condition for condition, _ in conditions if condition]) else {}),
        **({"route": route} if route else {}),
        **terms,
    }
    return Suggestion(rule=Rule.model_validate(value), requests=len(requests), remarks=tuple(remarks))


def suggestions_file(suggestions: Sequence[Suggestion]) -> str:
    """A policy file with these rules."""
    return "rules:\n" + "\n".join(suggestion.yaml for suggestion in suggestions) if suggestions else "rules: []\n"


def _same(requests: Sequence[AccessRequest]) -> AccessRequest:
    kinds = {(request.agent, request.tool) for request in requests}
    if len(kinds) != 1:
        raise InvalidInput(f"a rule is suggested from calls of one tool by one agent, not from {len(kinds)} kinds")
    return requests[0]


def _requesters(requests: Sequence[AccessRequest], people: People) -> tuple[list[str], list[str]]:
    """The people who were seen, or the role that is exactly these; and which role has more than these."""
    seen = {request.requester for request in requests}
    sized = sorted((len(users), name) for name in people.members if (users := _users(people, name)) >= seen)
    exact = [name for count, name in sized if count == len(seen) > 1]
    if exact:
        return exact[:1], []
    wider = [f"{name} has these people and {count - len(seen)} more" for count, name in sized[:1]]
    if len(seen) <= _MOST_NAMED:
        return sorted(seen), wider if len(seen) > 1 else []
    return ([sized[0][1]], wider) if sized else (["user:*"], ["everybody: too many people were seen to name them"])


def _users(people: People, name: str) -> set[str]:
    return set(people.users((name,)))


def _conditions(requests: Sequence[AccessRequest]) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """For each argument a condition, or a remark why there is none."""
    for name in sorted({name for request in requests for name in request.arguments}):
        if not _addressable(name):
            yield None, f"argument {name!r}: no condition can address it"
        elif any(name not in request.arguments for request in requests):
            yield None, f"argument {name!r}: not in every call, so no condition"
        elif not all(WITHHELD.isdisjoint((request.labels or {}).get(name, ())) for request in requests):
            yield None, f"argument {name!r}: has secrets in it, so no condition"
        else:
            yield _condition(name, [request.arguments[name] for request in requests])


def _condition(name: str, values: list[JsonValue]) -> tuple[dict[str, Any] | None, str]:
    distinct = list({canonical(value): value for value in values}.values())
    if len(distinct) > 1 and (folder := _common_folder(distinct)):
        return {"argument": name, "under": folder}, f"argument {name!r}: {len(distinct)} paths below {folder!r}"
    if len(distinct) <= FEW and all(map(_comparable, distinct)):
        listed = sorted(distinct, key=canonical)
        return {"argument": name, **({"eq": listed[0]} if len(listed) == 1 else {"in": listed})}, ""
    numbers = [value for value in distinct if isinstance(value, int) and not isinstance(value, bool)]
    if len(numbers) == len(distinct):
        return {
            "argument": name,
            "le": max(numbers),
        }, f"argument {name!r}: {len(distinct)} numbers, the largest counts"
    kind = "different values" if all(map(_comparable, distinct)) else "values, some of them long or nested"
    return None, f"argument {name!r}: {len(distinct)} {kind}, so no condition"


def _comparable(value: JsonValue) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST and value.isprintable()
    return value is None or isinstance(value, int)


def _common_folder(values: list[JsonValue]) -> str:
    """The longest folder that all paths are in; empty where a value is no path or they share none."""
    try:
        paths = [path(value) for value in values]
    except ConditionError:
        return ""
    if len({absolute for absolute, _ in paths}) > 1 or not all("/" in str(value) for value in values):
        return ""
    folders = [segments[:-1] for _, segments in paths]
    shared = []
    for step in zip(*folders, strict=False):
        if len(set(step)) > 1:
            break
        shared.append(step[0])
    return ("/" if paths[0][0] else "") + "/".join(shared) if shared else ""


def _addressable(name: str) -> bool:
    return name.isidentifier() and name.isascii() and len(name) <= 256


def _note(requests: Sequence[AccessRequest]) -> str:
    days = sorted(request.time.date().isoformat() for request in requests)
    span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return f"seen {len(requests)} {'time' if len(requests) == 1 else 'times'}, {span}"


def _free(wanted: str, taken: Collection[str]) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in wanted.lower())[:90]
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)
