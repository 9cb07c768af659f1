"""Each engine with one policy, in a process of its own: what it takes to load, and what its answers cost.

    python benchmarks/engines.py ENGINE FOLDER COUNT

prints one JSON document; benchmarks/policy.py writes the folder and runs this.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import casbin
import orjson
import psutil
from policies import KINDS

from interlock.policy import Bundle, decide
from interlock.policy.entries import Rule
from interlock.policy.people import People
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest

PLAIN = """
[request_definition]
r = tenant, sub, user, tool
[policy_definition]
p = tenant, sub, role, tool, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.tenant == p.tenant && r.sub == p.sub && r.tool == p.tool && g(r.user, p.role)
"""

Figures = dict[str, Any]


def timed(work: Callable[[Any], Any], items: Iterable[Any]) -> dict[str, float]:
    """p50 and p99 of the CPU time of each call, in microseconds."""
    samples = []
    for item in items:
        began = time.thread_time_ns()
        work(item)
        samples.append(time.thread_time_ns() - began)
    samples.sort()
    at = [samples[min(len(samples) - 1, int(len(samples) * share))] for share in (0.5, 0.99)]
    return {"p50": round(at[0] / 1e3, 1), "p99": round(at[1] / 1e3, 1)}


def loaded(build: Callable[[], Any]) -> tuple[Any, Figures]:
    """What `build` gives, the CPU seconds that it took, and what the process grew by."""
    process = psutil.Process()
    gc.collect()
    before, began = process.memory_info().rss, time.process_time()
    found = build()
    took = time.process_time() - began
    return found, {"load s": round(took, 2), "memory MiB": round((process.memory_info().rss - before) / 2**20)}


class Case:
    """The policy and the requests in a folder."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.stored = (folder / "bundle").read_bytes()
        self._requests = orjson.loads((folder / "requests.json").read_bytes())

    def requests(self, kind: str, most: int = 0) -> list[AccessRequest]:
        """Requests of a kind, read anew."""
        written = self._requests[kind][: most or self.count]
        return [AccessRequest.model_validate(one) for one in written]


def own(case: Case) -> Figures:
    """Interlock from its stored bundle. Cold requests come first, to a bundle just loaded."""
    bundle, found = loaded(lambda: Bundle.from_bytes(case.stored))
    found["verdict"] = {}
    for kind in KINDS:
        views = [RequestView(request, bundle.people) for request in case.requests(kind)]
        found["verdict"][kind] = timed(bundle.pdp.deciding_rule, views)
    bundle = Bundle.from_bytes(case.stored)
    found["decide"] = {kind: timed(lambda request: decide(bundle, request), case.requests(kind)) for kind in KINDS}
    found["request made ready"] = timed(lambda r: RequestView(r, bundle.people), case.requests("skewed"))
    return found


def load(case: Case) -> Figures:
    """Loading alone."""
    return loaded(lambda: Bundle.from_bytes(case.stored))[1]


def again(case: Case) -> Figures:
    """10,000 recorded decisions, made again from the stored bytes of bundle and requests."""
    bundle = Bundle.from_bytes(case.stored)
    given = [orjson.dumps(one) for kind in KINDS for one in case._requests[kind]]
    stored = [given[number % len(given)] for number in range(10_000)]
    recorded = [decide(bundle, AccessRequest.model_validate_json(data)) for data in stored]
    fresh = Bundle.from_bytes(case.stored)
    began = time.process_time()
    same = sum(
        decide(fresh, AccessRequest.model_validate_json(data)) == before
        for data, before in zip(stored, recorded, strict=True)
    )
    took = time.process_time() - began
    assert same == len(stored), "a decision came out differently"
    return {"10,000 decided again s": round(took, 2)}


def plain_casbin(case: Case) -> Figures:
    """The stock enforcer with every row and every role link; wildcards count as names, conditions are left out."""
    rules, people = _rules(case)
    enforcer, found = loaded(lambda: _plain(rules, people))
    for kind in ("skewed", "cold"):
        asked = [(r.tenant, r.agent, r.requester, r.tool) for r in case.requests(kind, _few(rules))]
        found[kind] = timed(lambda one: enforcer.enforce(*one), asked)
    return found


def _plain(rules: list[Rule], people: People) -> Any:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN))
    # As its own adapters do; `add_policies` looks through all rows for each new one.
    enforcer.get_model()["p"]["p"].policy.extend(
        [*_named(rule), "deny" if rule.effect == "deny" else "allow"] for rule in rules
    )
    for role, members in people.members.items():
        for member in members:
            enforcer.get_role_manager().add_link(member, role)
    return enforcer


def cedar(case: Case) -> Figures:
    """Cedar with every policy and entity, parsed once."""
    import cedarpy

    rules, people = _rules(case)
    text = "\n".join(map(_cedar_policy, rules))
    entities = json.dumps(
        [_entity("User", user, people.names_of(user)) for user in people.tenants]
        + [_entity("Role", role, people.names_of(role)) for role in people.members]
    )
    parsed, found = loaded(lambda: (cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str(entities)))
    for kind in ("skewed", "cold"):
        asked = [_cedar_request(request) for request in case.requests(kind, _few(rules))]
        found[kind] = timed(lambda one: cedarpy.is_authorized(one, *parsed), asked)
    return found


def cedar_partition(case: Case) -> Figures:
    """Cedar given, for each request, the rules that our index picks and its user with all roles: parsed before the
    call, which is the best that one can do for it, and parsed in the call."""
    import cedarpy

    bundle = Bundle.from_bytes(case.stored)
    found: Figures = {}
    for kind in ("skewed", "cold"):
        texts = []
        for request in case.requests(kind):
            view = RequestView(request, bundle.people)
            policies = "\n".join(_cedar_policy(rule.rule) for rule in bundle.pdp.candidates(view))
            user = json.dumps([_entity("User", request.requester, view.requester_names)])
            texts.append((_cedar_request(request), policies, user))
        parsed = [
            (one, cedarpy.PolicySet.from_str(policies), cedarpy.Entities.from_json_str(user))
            for one, policies, user in texts
        ]
        found[kind] = timed(lambda one: cedarpy.is_authorized(*one), parsed)
        found[f"{kind}, parsed in the call"] = timed(lambda one: cedarpy.is_authorized(*one), texts)
    return found


def _entity(kind: str, name: str, names: Iterable[str]) -> dict[str, Any]:
    parents = [{"type": "Role", "id": other} for other in sorted(names) if other != name]
    return {"uid": {"type": kind, "id": name}, "attrs": {}, "parents": parents}


def _cedar_request(request: AccessRequest) -> dict[str, Any]:
    return {
        "principal": f'User::"{request.requester}"',
        "action": f'Action::"{request.tool}"',
        "resource": f'Agent::"{request.agent}"',
        "context": {"tenant": request.tenant, "tool": request.tool, **request.arguments},
    }


def _cedar_policy(rule: Rule) -> str:
    word = "forbid" if rule.effect == "deny" else "permit"
    tenant, agent, role, tool = _named(rule)
    when = [f'context.tenant == "{tenant}"', f'context.tool like "{tool.replace("**", "*")}"']
    if "*" not in tool:
        when[1] = f'action == Action::"{tool}"'
    if rule.when:
        when += [f'context.path like "{rule.when[0].operand[0]}/*"', "context.size <= 1000"]
    head = f'{word} (principal in Role::"{role}", action, resource == Agent::"{agent}")'
    return f"{head} when {{ {' && '.join(when)} }};"


def oso(case: Case) -> Figures:
    """Oso with a fact for each rule; the request brings its user's roles. Wildcards, conditions are left out."""
    rules, people = _rules(case)
    engine, found = loaded(lambda: _oso(rules))
    for kind in ("skewed", "cold"):
        asked = [_oso_request(request, people) for request in case.requests(kind, _few(rules))]
        found[kind] = timed(lambda one: engine.is_allowed(*one), asked)
    return found


def oso_partition(case: Case) -> Figures:
    """Oso given, for each request, the rules that our index picks, loaded before the call."""
    bundle = Bundle.from_bytes(case.stored)
    found: Figures = {}
    for kind in ("skewed", "cold"):
        asked = []
        for request in case.requests(kind, 100):
            picked = bundle.pdp.candidates(RequestView(request, bundle.people))
            asked.append((_oso([rule.rule for rule in picked]), *_oso_request(request, bundle.people)))
        found[kind] = timed(lambda one: one[0].is_allowed(*one[1:]), asked)
    return found


def _oso(rules: list[Rule]) -> Any:
    from oso import Oso

    lines = [
        f"{'forbidden' if rule.effect == 'deny' else 'granted'}({', '.join(map(json.dumps, _named(rule)))});"
        for rule in rules
    ]
    # Each predicate must be known, also where no rule has it.
    lines += ['granted("", "", "", "");', 'forbidden("", "", "", "");']
    holds = "(place, agent, role, tool) and role in roles"
    lines.append(f"permitted(agent, roles, tool, place) if granted{holds};")
    lines.append(f"refused(agent, roles, tool, place) if forbidden{holds};")
    lines.append(
        "allow([agent, roles], tool, place) if permitted(agent, roles, tool, place) and not "
        "refused(agent, roles, tool, place);"
    )
    engine = Oso()
    engine.load_str("\n".join(lines))
    return engine


def _oso_request(request: AccessRequest, people: People) -> tuple[Any, str, str]:
    return [request.agent, sorted(people.names_of(request.requester))], request.tool, request.tenant


def _rules(case: Case) -> tuple[list[Rule], People]:
    bundle = Bundle.from_bytes(case.stored)
    return [rule.rule for rule in bundle.rules], bundle.people


def _named(rule: Rule) -> tuple[str, str, str, str]:
    return rule.tenant[0], (rule.agent or ("",))[0], (rule.requester or ("",))[0], (rule.tool or ("",))[0]


def _few(rules: list[Rule]) -> int:
    """How many answers of an engine that looks at every rule are waited for."""
    return max(5, min(500, 200_000 // max(1, len(rules))))


ENGINES: dict[str, Callable[[Case], Figures]] = {
    "own": own,
    "load": load,
    "again": again,
    "plain Casbin": plain_casbin,
    "Cedar": cedar,
    "Cedar, same partition": cedar_partition,
    "Oso": oso,
    "Oso, same partition": oso_partition,
}

if __name__ == "__main__":
    engine, folder, count = sys.argv[1:]
    print(json.dumps(ENGINES[engine](Case(Path(folder), int(count)))))
