"""Groups, roles, tenants and routes beside the people that there are."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.lint.cover import EVERYBODY
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.problems import did_you_mean


def people(bundle: Bundle) -> Iterator[LintFinding]:
    """Subjects and tenants that match nobody, groups and roles that nothing uses, routes that lack people."""
    tenants = {tenant for known in bundle.people.tenants.values() for tenant in known}
    for rule in bundle.rules:
        yield from _subjects(bundle, rule)
        yield from _tenants(bundle, rule, tenants)
    yield from _unused(bundle)
    yield from _routes(bundle)


def _subjects(bundle: Bundle, rule: CompiledRule) -> Iterator[LintFinding]:
    for key, kind, names in (("agent", "agent:", rule.agents), ("requester", "user:", rule.requesters)):
        for name in sorted(names):
            group = name.startswith(("role:", "group:"))
            if group and not any(one.startswith(kind) for one in bundle.people.expand((name,))):
                said = f"rule {rule.id!r}: {key} {name!r} stands for no {kind[:-1]}, so that it never matches."
                step = f"Give it {kind[:-1]}s as members, or name another."
                yield finding("unreachable-subject", rule.source, said, step, entry=f"rules:{rule.id}")


def _tenants(bundle: Bundle, rule: CompiledRule, known: set[str]) -> Iterator[LintFinding]:
    requesters = _requesters(bundle, rule)
    for tenant in rule.rule.tenant:
        if tenant == "*":
            continue
        step = "Correct the tenant, or give people that tenant under users."
        entry = f"rules:{rule.id}"
        if tenant not in known:
            said = f"rule {rule.id!r}: no user is known in tenant {tenant!r}{did_you_mean(tenant, known)}."
            yield finding("unreachable-tenant", rule.source, said, step, entry=entry)
        elif not rule.denies and not any(bundle.people.is_known(user, tenant) for user in requesters):
            said = f"rule {rule.id!r}: none of its requesters is known in tenant {tenant!r}."
            yield finding("unreachable-tenant", rule.source, said, step, entry=entry)


def _requesters(bundle: Bundle, rule: CompiledRule) -> tuple[str, ...]:
    """Every user who may be the requester of a call that the rule matches."""
    if rule.requesters & EVERYBODY:
        return tuple(bundle.people.tenants)
    return bundle.people.expand(tuple(rule.requesters))


def _unused(bundle: Bundle) -> Iterator[LintFinding]:
    used = {name for rule in bundle.rules for name in (*rule.agents, *rule.requesters, *(rule.rule.notify or ()))}
    used |= {name for route in bundle.routes.values() for name in route.names}
    todo = list(used)
    while todo:
        fresh = [member for member in bundle.people.members.get(todo.pop(), ()) if member not in used]
        used.update(fresh)
        todo.extend(fresh)
    for name in bundle.people.members:
        if name not in used:
            kind, _, own = name.partition(":")
            said = f"no rule and no route names {name!r}."
            entry = f"{kind}s:{own}"
            step = f"Drop the {kind}, or name it where it was meant."
            yield finding("unused-subject", bundle.sources[entry], said, step, entry=entry)


def _routes(bundle: Bundle) -> Iterator[LintFinding]:
    """Routes that work somewhere, and not in every tenant or for everyone whose calls they are asked about."""
    for name in bundle.routes:
        entry = f"routes:{name}"
        if bundle.route(name).short_of() is not None:
            continue  # told as a reference
        rules = [rule for rule in bundle.rules if rule.rule.route == name]
        for tenant, users in _askers(bundle, rules).items():
            short = next(((u, lack) for u in sorted(users) if (lack := _lacking(bundle, name, tenant, u))), None)
            if short is None or _lacking(bundle, name, "", short[0]):
                continue  # everywhere: told as a reference
            said = f"route {name!r} cannot be satisfied in tenant {tenant!r} for {short[0]!r}: {short[1]}."
            step = "Add approvers of that tenant, or name the tenants in the rules that ask it."
            yield finding("unsatisfiable-route", bundle.sources[entry], said, step, entry=entry)


def _lacking(bundle: Bundle, name: str, tenant: str, requester: str) -> str:
    """Whom the route lacks for calls of this person; empty: nobody."""
    short = bundle.route(name, tenant=tenant, requester=requester).short_of()
    if short is None:
        return ""
    stage = f"stage {short.name!r} " if short.name else "it "
    return f"{stage}needs {short.quorum} and {len(short.approvers)} may approve"


def _askers(bundle: Bundle, rules: list[CompiledRule]) -> dict[str, set[str]]:
    """Tenant → the users about whose calls the rules may ask."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for user in _requesters(bundle, rule):
            for tenant in bundle.people.tenants.get(user, ()):
                if "*" in rule.rule.tenant or tenant in rule.rule.tenant:
                    found.setdefault(tenant, set()).add(user)
    return dict(sorted(found.items()))
