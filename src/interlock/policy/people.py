"""Who is whom: users and their tenants, and the transitive closure of groups and roles.

Casbin's own role manager stops at ten links and then skips a deny without a word. Here membership is an
immutable closure of any depth; cycles are refused at load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from interlock.policy.content import Content


@dataclass(frozen=True)
class People:
    """Users, groups and roles of a bundle."""

    tenants: Mapping[str, frozenset[str]]
    """`user:alice` → the tenants in which she is known."""
    members: Mapping[str, tuple[str, ...]]
    """`group:x` or `role:x` → its direct members."""
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`user:alice` → what else is known of her."""
    passkeys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`user:alice` → public keys of her passkeys, sorted; who has none is left out."""

    @cached_property
    def belongs(self) -> Mapping[str, frozenset[str]]:
        """Each member → itself and every group and role that it has, directly or through others."""
        return MappingProxyType(_closure(_parents(self.members)))

    @classmethod
    def of(cls, content: Content) -> People:
        """The people of a bundle's content."""
        tenants = {f"user:{user.name}": frozenset(user.tenants) for user in content.users.values()}
        members = {f"group:{group.name}": group.members for group in content.groups.values()}
        members |= {f"role:{role.name}": role.members for role in content.roles.values()}
        attributes = {f"user:{user.name}": user.attributes or {} for user in content.users.values()}
        passkeys = {f"user:{u.name}": tuple(sorted(u.passkeys)) for u in content.users.values() if u.passkeys}
        return cls(
            MappingProxyType(tenants),
            MappingProxyType(members),
            MappingProxyType(attributes),
            MappingProxyType(passkeys),
        )

    def names_of(self, subject: str) -> frozenset[str]:
        """The subject itself and all its groups and roles."""
        return self.belongs.get(subject, frozenset((subject,)))

    def users(self, references: tuple[str, ...]) -> tuple[str, ...]:
        """The users alone that the references stand for, sorted; `user:*` is every user."""
        if "user:*" in references:
            return tuple(sorted(self.tenants))
        return tuple(one for one in self.expand(references) if one.startswith("user:"))

    def has(self, user: str, attributes: Mapping[str, str]) -> bool:
        """Whether a user has all of these attributes."""
        own = self.attributes.get(user, {})
        return all(own.get(name) == value for name, value in attributes.items())

    def is_known(self, user: str, tenant: str) -> bool:
        """Whether this is a user of that tenant."""
        return tenant in self.tenants.get(user, frozenset())

    def expand(self, references: tuple[str, ...]) -> tuple[str, ...]:
        """The agents and users that the references stand for, sorted."""
        found: set[str] = set()
        todo, seen = list(references), set(references)
        while todo:
            reference = todo.pop()
            if reference.startswith(("user:", "agent:")):
                found.add(reference)
            fresh = [member for member in self.members.get(reference, ()) if member not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return tuple(sorted(found))


Parents = Mapping[str, list[str]]
"""Each member → the groups and roles that list it."""


def _parents(members: Mapping[str, tuple[str, ...]]) -> Parents:
    parents: dict[str, list[str]] = {}
    for parent, children in members.items():
        for child in children:
            parents.setdefault(child, []).append(parent)
    return parents


def _closure(parents: Parents) -> dict[str, frozenset[str]]:
    """Each name's groups and roles, built from those of its parents, which are found before it."""
    found: dict[str, frozenset[str]] = {}
    for loop in _loops(parents):
        above = {parent for name in loop for parent in parents.get(name, ()) if parent in found}
        everything = frozenset(loop).union(*(found[parent] for parent in above))
        found |= dict.fromkeys(loop, everything)
    return {name: found[name] for name in parents}


def _loops(parents: Parents) -> Iterator[tuple[str, ...]]:
    """Names that contain each other, mostly one by one, each after those that contain it.

    These are the strongly connected components, by Tarjan's algorithm (SIAM J. Comput. 1, 1972), without
    recursion: a chain of roles may be longer than Python's stack.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: dict[str, None] = {}
    for start in parents:
        path = [(start, iter(parents[start]))] if start not in number else []
        while path:
            name, above = path[-1]
            if name not in number:
                number[name] = lowest[name] = len(number)
                waiting[name] = None
            for parent in above:
                if parent not in number:
                    path.append((parent, iter(parents.get(parent, ()))))
                    break
                if parent in waiting:
                    lowest[name] = min(lowest[name], number[parent])
            else:
                path.pop()
                if path:
                    below = path[-1][0]
                    lowest[below] = min(lowest[below], lowest[name])
                if lowest[name] == number[name]:
                    yield _taken(waiting, name)


def _taken(waiting: dict[str, None], first: str) -> tuple[str, ...]:
    loop: list[str] = []
    while first in waiting:
        loop.append(waiting.popitem()[0])
    return tuple(loop)


def cycles(members: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Groups and roles that contain themselves, each once, as the names that must not all be members."""
    parents = _parents(members)
    loops = (loop for loop in _loops(parents) if len(loop) > 1 or loop[0] in parents.get(loop[0], ()))
    yield from sorted(tuple(sorted(loop)) for loop in loops)
