"""Patterns and names of subjects beside each other: does one cover the other, do they meet?"""

from __future__ import annotations

from collections.abc import Iterable

from interlock.policy.compiled import ANYONE
from interlock.policy.normal import path
from interlock.policy.patterns import Segments, segments_match
from interlock.policy.people import People

EVERYBODY = frozenset({ANYONE, "agent:*", "user:*"})


def segments_cover(wide: Segments, narrow: Segments) -> bool:
    """Whether everything that `narrow` matches is matched by `wide`."""
    if narrow and narrow[-1] == "**":
        head = len(narrow) - 1
        if not wide or wide[-1] != "**" or len(wide) > len(narrow):
            return False
        return all(w in ("*", n) for w, n in zip(wide[:-1], narrow[:head], strict=False))
    return segments_match(wide, narrow)


def segments_meet(one: Segments, other: Segments) -> bool:
    """Whether anything is matched by both."""
    for index in range(max(len(one), len(other))):
        mine, theirs = one[index : index + 1], other[index : index + 1]
        if mine == ("**",) or theirs == ("**",):
            return bool(mine and theirs)
        if not mine or not theirs or ("*" not in (mine[0], theirs[0]) and mine != theirs):
            return False
    return True


def tools_cover(wide: Iterable[str], narrow: Iterable[str]) -> bool:
    """Whether each pattern of tools in `narrow` is covered by one in `wide`."""
    patterns = [tuple(pattern.split(".")) for pattern in wide]
    return all(any(segments_cover(w, tuple(n.split("."))) for w in patterns) for n in narrow)


def tools_meet(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether some tool could be covered by both."""
    patterns = [tuple(pattern.split(".")) for pattern in other]
    return any(segments_meet(tuple(mine.split(".")), theirs) for mine in one for theirs in patterns)


def resources_cover(wide: Iterable[str], narrow: Iterable[str]) -> bool:
    """Whether each resource pattern in `narrow` is covered by one in `wide`."""
    listed = list(wide)
    return "*" in listed or all(n != "*" and any(_resource_covers(w, n) for w in listed) for n in narrow)


def _resource_covers(wide: str, narrow: str) -> bool:
    (kind, _, rest), (own, _, own_rest) = wide.partition(":"), narrow.partition(":")
    (absolute, segments), (own_absolute, own_segments) = path(rest), path(own_rest)
    return (kind, absolute) == (own, own_absolute) and segments_cover(segments, own_segments)


def resources_meet(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether some resource could be covered by both."""
    mine, theirs = list(one), list(other)
    return "*" in mine or "*" in theirs or any(_resource_meets(m, t) for m in mine for t in theirs)


def _resource_meets(one: str, other: str) -> bool:
    (kind, _, rest), (own, _, own_rest) = one.partition(":"), other.partition(":")
    (absolute, segments), (own_absolute, own_segments) = path(rest), path(own_rest)
    return (kind, absolute) == (own, own_absolute) and segments_meet(segments, own_segments)


def words_cover(wide: Iterable[str], narrow: Iterable[str]) -> bool:
    """The same for actions and tenants, where `*` is every one."""
    listed = frozenset(wide)
    return "*" in listed or listed.issuperset(narrow)


def words_meet(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether one action or tenant could be in both."""
    mine, theirs = frozenset(one), frozenset(other)
    return "*" in mine | theirs or not mine.isdisjoint(theirs)


def subjects_cover(wide: frozenset[str], narrow: Iterable[str], people: People) -> bool:
    """Whether `wide` names each subject of `narrow`: itself, a group or role that it has, or all its members."""
    return all(_subject_covered(wide, name, people) for name in narrow)


def _subject_covered(wide: frozenset[str], name: str, people: People) -> bool:
    if not wide.isdisjoint(people.names_of(name)):
        return True
    members = people.members.get(name)
    return members is not None and all(_subject_covered(wide, member, people) for member in members)


def subjects_meet(one: frozenset[str], other: frozenset[str], people: People) -> bool:
    """Whether some agent or user could be in both."""
    if one & EVERYBODY or other & EVERYBODY:
        return True
    return not set(people.expand(tuple(one))).isdisjoint(people.expand(tuple(other)))
