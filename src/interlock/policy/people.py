"""Who is whom: users and their tenants, and the transitive closure of groups and roles.

Casbin's own role manager stops at ten links and then skips a deny without a word. Here membership is an
immutable closure of any depth; cycles are refused at load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from interlock.policy.content import Content


@dataclass(frozen=True, slots=True)
class People:
    """Users, groups and roles of a bundle."""

    tenants: Mapping[str, frozenset[str]]
    """`user:alice` → the tenants in which she is known."""
    members: Mapping[str, tuple[str, ...]]
    """`group:x` or `role:x` → its direct members."""
    belongs: Mapping[str, frozenset[str]] = field(init=False)
    """Each member → itself and every group and role that it has, directly or through others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "belongs", MappingProxyType(_closure(self.members)))

    @classmethod
    def of(cls, content: Content) -> People:
        """The people of a bundle's content."""
        tenants = {f"user:{user.name}": frozenset(user.tenants) for user in content.users.values()}
        members = {f"group:{group.name}": group.members for group in content.groups.values()}
        members |= {f"role:{role.name}": role.members for role in content.roles.values()}
        return cls(MappingProxyType(tenants), MappingProxyType(members))

    def names_of(self, subject: str) -> frozenset[str]:
        """The subject itself and all its groups and roles."""
        return self.belongs.get(subject, frozenset((subject,)))

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


def _closure(members: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    parents: dict[str, list[str]] = {}
    for parent, children in members.items():
        for child in children:
            parents.setdefault(child, []).append(parent)
    return {name: frozenset(_reached(name, parents)) for name in parents}


def _reached(name: str, parents: Mapping[str, list[str]]) -> set[str]:
    found, todo = {name}, [name]
    while todo:
        fresh = [parent for parent in parents.get(todo.pop(), ()) if parent not in found]
        found.update(fresh)
        todo.extend(fresh)
    return found


def cycles(members: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Groups and roles that contain themselves, each once, as the names that must not all be members."""
    parents: dict[str, list[str]] = {}
    for parent, children in members.items():
        for child in children:
            parents.setdefault(child, []).append(parent)
    done: set[str] = set()
    for name in sorted(members):
        above = set(parents.get(name, ()))
        reached = set().union(*(_reached(parent, parents) for parent in above)) if above else set()
        if name in reached and name not in done:
            loop = {other for other in reached if other in members and name in _reached(other, parents)}
            done |= loop
            yield tuple(sorted(loop))
