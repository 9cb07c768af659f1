"""What a decision costs as a policy grows, beside plain Casbin, Cedar and Oso.

    python benchmarks/policy.py [--json] [--check] [--quick]

All figures are CPU time of this thread, in microseconds unless named otherwise, taken in one process one after the
other. `verdict` is Casbin's decision among the rows that the index picks, on a request that is ready; `decide` is
the whole of it: canonical bytes and digest of the request, every matching rule, reasons in words. The others get
the same rules and decide on ready requests. Cedar gets, for each request, only the policies of the same partition,
which is what an index would give it; its Python binding parses them for each call. Oso gets no conditions.

Goals, at 100,000 rules: p50 of a verdict at most 100 us, p99 at most 1 ms on requests never seen before, a stored
bundle ready in at most 2 s, at least 1,000 times plain Casbin, ahead of Cedar; 10,000 recorded decisions made again
in at most 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import casbin
import psutil
from policies import Made, make, requests

from interlock.digest import canonical, digest_of, parse
from interlock.policy import Bundle, decide
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest, canonical_request

KINDS = ("early", "late", "miss", "skewed", "cold")
LARGEST = 100_000
GOALS = {"p50": 100.0, "p99 cold": 1000.0, "load s": 2.0, "x plain Casbin": 1000.0, "again s": 5.0}

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


def percentiles(samples: list[int]) -> dict[str, float]:
    """p50 and p99 in microseconds."""
    ordered = sorted(samples)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return {"p50": round(at[0] / 1e3, 1), "p99": round(at[1] / 1e3, 1)}


def timed(work: Callable[[Any], Any], items: Iterable[Any]) -> list[int]:
    """CPU nanoseconds of each call."""
    samples = []
    for item in items:
        begun = time.thread_time_ns()
        work(item)
        samples.append(time.thread_time_ns() - begun)
    return samples


def own(made: Made, count: int) -> tuple[dict[str, Any], Bundle]:
    """Load the stored bundle, then decide each kind of request."""
    data, process = made.bundle.to_bytes(), psutil.Process()
    before, begun = process.memory_info().rss, time.process_time()
    bundle = Bundle.from_bytes(data)
    load = time.process_time() - begun
    found: dict[str, Any] = {
        "load s": round(load, 2),
        "memory MiB": round((process.memory_info().rss - before) / 2**20),
        "verdict": {},
        "decide": {},
    }
    for kind in ("cold", *(kind for kind in KINDS if kind != "cold")):  # first, while nothing is kept
        asked = list(requests(made, kind, count))
        views = [RequestView(request, bundle.people) for request in asked]
        found["verdict"][kind] = percentiles(timed(bundle.pdp.deciding_rule, views))
        found["decide"][kind] = percentiles(timed(lambda request: decide(bundle, request), asked))
    return found, bundle


def plain_casbin(made: Made, count: int) -> dict[str, Any]:
    """The stock enforcer with every row and every role link; no wildcards, no conditions."""
    begun = time.process_time()
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN))
    words = {"deny": "deny", "ask": "allow", "allow": "allow"}
    rows = [[r["tenant"], r["agent"], r["requester"], r["tool"], words[r["effect"]]] for r in made.rules]
    # As its own adapters do; `add_policies` looks through all rows for each new one.
    enforcer.get_model()["p"]["p"].policy.extend(rows)
    for role, members in made.bundle.people.members.items():
        for member in members:
            enforcer.get_role_manager().add_link(member, role)
    load = time.process_time() - begun
    asked = [(r.tenant, r.agent, r.requester, r.tool) for r in requests(made, "cold", count)]
    return {"load s": round(load, 2), **percentiles(timed(lambda one: enforcer.enforce(*one), asked))}


def cedar(made: Made, bundle: Bundle, count: int) -> dict[str, Any]:
    """Cedar, given the rules that the index picks for each request."""
    import cedarpy

    def ready(request: AccessRequest) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
        view = RequestView(request, bundle.people)
        policies = "\n".join(_cedar_policy(rule.rule) for rule in bundle.pdp.candidates(view))
        parents = [
            {"type": "Role", "id": name} for name in sorted(view.requester_names) if name != request.requester
        ]
        entities = [{"uid": {"type": "User", "id": request.requester}, "attrs": {}, "parents": parents}]
        asked = {
            "principal": f'User::"{request.requester}"',
            "action": f'Action::"{request.tool}"',
            "resource": f'Agent::"{request.agent}"',
            "context": {"path": request.arguments["path"], "size": request.arguments["size"]},
        }
        return asked, policies, entities

    found = {}
    for kind in ("skewed", "cold"):
        asked = [ready(request) for request in requests(made, kind, count)]
        found[kind] = percentiles(timed(lambda one: cedarpy.is_authorized(*one), asked))
    return found


def _cedar_policy(rule: Any) -> str:
    word = "forbid" if rule.effect == "deny" else "permit"
    role, agent = (rule.requester or ("",))[0], (rule.agent or ("",))[0]
    path = rule.when[0].operand[0] if rule.when else ""
    when = f' when {{ context.path like "{path}/*" && context.size <= 1000 }}' if path else ""
    return f'{word} (principal in Role::"{role}", action, resource == Agent::"{agent}"){when};'


def oso(made: Made, count: int) -> dict[str, Any]:
    """Oso with a fact a rule, and the roles of each user in the request."""
    from oso import Oso

    begun = time.process_time()
    engine = Oso()
    facts = "\n".join(
        f'granted("{rule["tenant"]}", "{rule["agent"]}", "{rule["requester"]}", "{rule["tool"]}");'
        for rule in made.rules
        if rule["effect"] != "deny"
    )
    engine.load_str(facts + "\nallow(actor, tool, place) if role in actor and granted(place, _, role, tool);")
    load = time.process_time() - begun
    people = made.bundle.people
    asked = [(sorted(people.names_of(r.requester)), r.tool, r.tenant) for r in requests(made, "cold", count)]
    return {"load s": round(load, 2), **percentiles(timed(lambda one: engine.is_allowed(*one), asked))}


def again(made: Made, bundle: Bundle, count: int) -> float:
    """CPU seconds to read so many recorded requests and to make their decisions again."""
    stored = [canonical(canonical_request(request)) for request in requests(made, "skewed", count)]
    begun = time.process_time()
    for data in stored:
        request = AccessRequest.model_validate(parse(data))
        assert decide(bundle, request).request == digest_of(canonical_request(request))
    return time.process_time() - begun


def beside(name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A library's figures, or that it is not installed here."""
    try:
        return measure()
    except ImportError:
        return {"not installed": f"pip install --group bench ({name})"}


def environment() -> dict[str, str]:
    """What the figures depend on."""
    names = ("pycasbin", "pydantic", "orjson", "cedarpy", "oso")
    found = {"python": platform.python_version(), "cores": str(os.cpu_count()), "load": str(os.getloadavg()[0])}
    for name in names:
        try:
            found[name] = version(name)
        except ImportError:
            found[name] = "not installed"
    return found


def measure(sizes: list[tuple[int, int]], count: int) -> dict[str, Any]:
    """Every size, then the others at the largest that they bear."""
    found: dict[str, Any] = {"environment": environment(), "sizes": []}
    for rules, links in sizes:
        made = make(rules, links)
        figures, bundle = own(made, count)
        slow = 3 if rules >= LARGEST else max(5, min(count, 100_000 // rules))
        figures["plain Casbin"] = plain_casbin(made, slow)
        figures["Cedar, same partition"] = beside("cedarpy", lambda m=made, b=bundle: cedar(m, b, count))
        if rules <= 10_000:
            figures["Oso"] = beside("oso", lambda m=made: oso(m, min(count, 50)))
        found["sizes"].append({"rules": rules, "links": links, **figures})
    found["10,000 decided again s"] = round(again(made, bundle, 10_000), 2)
    return found


def judge(found: dict[str, Any]) -> dict[str, bool]:
    """Which goals are met, by the largest policy."""
    last = found["sizes"][-1]
    verdict, cedar_p50 = last["verdict"], last["Cedar, same partition"].get("skewed", {}).get("p50")
    hot = statistics.median(verdict[kind]["p50"] for kind in KINDS)
    found["times plain Casbin"] = round(last["plain Casbin"]["p50"] / hot)
    return {
        "p50 <= 100 us, each kind but cold": all(
            verdict[kind]["p50"] <= GOALS["p50"] for kind in KINDS if kind != "cold"
        ),
        "p99 <= 1 ms, cold": verdict["cold"]["p99"] <= GOALS["p99 cold"],
        "load <= 2 s": last["load s"] <= GOALS["load s"],
        ">= 1,000 x plain Casbin": found["times plain Casbin"] >= GOALS["x plain Casbin"],
        "ahead of Cedar, same partition": cedar_p50 is None or verdict["skewed"]["p50"] < cedar_p50,
        "10,000 again <= 5 s": found["10,000 decided again s"] <= GOALS["again s"],
    }


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--quick", action="store_true", help="small policies, for a smoke test")
    options = parser.parse_args()
    sizes = [(10, 10), (1_000, 1_000)] if options.quick else [(10, 10), (1_000, 1_000), (10_000, 100_000)]
    if not options.quick:
        sizes += [(LARGEST, 10), (LARGEST, LARGEST)]
    found = measure(sizes, 100 if options.quick else 2_000)
    found["met"] = judge(found)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
        last = found["sizes"][-1]
        print(f"{last['verdict']['skewed']['p50']} us a verdict at {last['rules']} rules")
    return 1 if options.check and not all(found["met"].values()) else 0


def _print(found: dict[str, Any]) -> None:
    for name, value in found.items():
        for row in value if isinstance(value, list) else [value]:
            print(f"{name}:" if isinstance(row, dict) else f"{name}: {row}")
            for key, figure in row.items() if isinstance(row, dict) else ():
                print(f"  {key}: {figure}")


if __name__ == "__main__":
    sys.exit(main())
