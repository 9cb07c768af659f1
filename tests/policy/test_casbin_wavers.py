"""Where Casbin by itself raises, wavers or explains nothing, and the policy must decide and say why."""

from __future__ import annotations

import ast
import copy
import inspect
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from casbin.util.builtin_operators import time_match_func
from support.plain_casbin import plain

import interlock.policy
from interlock.errors import InvalidInput
from interlock.policy import decide
from interlock.policy.enforcer import MODEL
from interlock.policy.view import RequestView
from interlock.types.access import canonical_request

DENY_UNLESS = "!some(where (p.eft == deny))"


def stock_on(arguments: object, matcher: str, effect: str = "some(where (p.eft == allow))") -> bool:
    """What a stock enforcer answers whose matcher reads attributes of the arguments."""
    row = "p, a, o, x, deny" if effect == DENY_UNLESS else "p, a, o, x, allow"
    return plain([row], matcher, effect, request="sub, args").enforce("a", arguments)


def test_absent_argument_is_decided(load, rule, request_of):
    with pytest.raises(Exception, match="does not exist"):
        stock_on({}, "r.args.amount < 5")
    for effect, verdict in (("allow", "deny"), ("deny", "deny"), ("ask", "ask")):
        bundle = load(rule(effect=effect, when="[{argument: amount, lt: 5}]", route="leads" * (effect == "ask")))
        decision = decide(bundle, request_of(arguments={}))
        assert decision.verdict == verdict
        assert decision.condition_errors == ("r: arguments.amount cannot be tested: it is absent",)


@pytest.mark.parametrize("value", [True, False, "1", None, [1], {"a": 1}])
def test_mistyped_number_never_allows(load, rule, request_of, value):
    if value is True:
        assert stock_on(SimpleNamespace(amount=value), "r.args.amount < 5") is True
    elif not isinstance(value, bool):
        with pytest.raises(TypeError):
            stock_on(SimpleNamespace(amount=value), "r.args.amount < 5")
    for operator in ("lt: 5", "le: 5", "gt: -5", "ge: -5", "eq: 1", "ne: 7", "in: [1, 0]", "not_in: [7]"):
        bundle = load(rule(when=f"[{{argument: path, {operator}}}]"))
        decision = decide(bundle, request_of(arguments={"path": value}))
        assert decision.verdict == "deny"
        assert decision.condition_errors


def test_argument_named_items_is_data(load, rule, request_of):
    bundle = load(rule(when="[{argument: items, eq: own}]"))
    assert decide(bundle, request_of(arguments={"items": "own"})).verdict == "allow"
    assert decide(bundle, request_of(arguments={"path": "own"})).verdict == "deny"


def test_concurrent_decisions_agree(load, request_of):
    texts = "".join(
        f"  - {{id: r{n}, effect: {('deny', 'allow')[n % 2]}, owner: t, agent: 'agent:fixer', tool: t{n}}}\n"
        for n in range(20)
    )
    bundles = [load("rules:\n" + texts), load("rules:\n" + texts.replace("owner: t", "owner: u"))]
    start = threading.Barrier(8)

    def work(worker: int) -> set[tuple[int, str, str]]:
        start.wait()
        found = set()
        for turn in range(150):
            number = (worker * 7 + turn) % 20
            decision = decide(bundles[turn % 2], request_of(tool=f"t{number}"))
            found.add((number, decision.verdict, decision.rule))
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = set().union(*pool.map(work, range(8)))
    assert answers == {(n, ("deny", "allow")[n % 2], f"r{n}") for n in range(20)}


def test_nan_is_no_argument(load, rule, request_of):
    nan = SimpleNamespace(amount=float("nan"))
    assert stock_on(nan, "r.args.amount > 5", DENY_UNLESS) is True, "NaN is above nothing, so that deny never fires"
    bundle = load(rule(effect="deny", when="[{argument: amount, gt: 5}]"))
    for value in (float("nan"), float("inf"), 5.5, -0.0, {"deep": [1.5]}):
        with pytest.raises(InvalidInput, match="float"):
            decide(bundle, request_of(arguments={"amount": value}))
    for text in ("NaN", "nan", "Infinity", "-inf", "1e9", "sNaN", "٣", "0x7"):
        decision = decide(bundle, request_of(arguments={"amount": text}))
        assert decision.rule == "r"
        assert decision.condition_errors


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e9", "0x10", "0o7", "1_000", "true", "'5'", "null"])
def test_operand_that_is_no_number_is_refused(refused, rule, number):
    assert refused(rules=rule(when=f"[{{argument: amount, lt: {number}}}]"))


def test_every_matching_function_answers_true_or_false(load, rule, request_of):
    assert stock_on(0.5, "r.args") is True, "any number but nought counts as yes"
    with pytest.raises(RuntimeError, match="matcher result"):
        stock_on("yes", "r.args")
    bundle = load(rule(when="[{argument: path, eq: source}]"))
    view = RequestView(request_of(), bundle.people)
    decide(bundle, request_of())
    for name in MATCHER_CALLS:
        for rule_id in ("r", "", "unknown"):
            assert type(getattr(bundle.pdp, name)(view, rule_id)) is bool


MATCHER_CALLS = dict(re.findall(r"(\w+)\(([^()]*)\)", MODEL.partition("m = ")[2]))
"""Functions that the matcher calls, with what it gives them."""


def test_matcher_calls_fit_their_functions(load):
    stock = plain(["p, a, o, x, allow"], "r.sub == 'z' && f(r.sub)")
    stock.add_function("f", lambda one, two: True)
    assert stock.enforce("a", "o", "x") is False, "the wrong call is not noticed before it is reached"
    with pytest.raises(TypeError):
        stock.enforce("z", "o", "x")
    pdp = load().pdp
    assert len(MATCHER_CALLS) == 4
    for name, given in MATCHER_CALLS.items():
        inspect.signature(getattr(pdp, name)).bind(*given.split(","))


@pytest.mark.parametrize(
    "when",
    [
        "[{argument: path}]",
        "[{eq: a}]",
        "[{argument: path, eq: a, ne: b}]",
        "[{argument: path, time_between: {from: '08:00', to: '09:00', zone: UTC}}]",
        "[{argument: path, attribute: run, eq: a}]",
        "[{argument: path, in: []}]",
        "[{argument: path, matches: [a, b]}]",
        "[{argument: path, length_le: '5'}]",
        "[{argument: path, under: []}]",
        "{argument: path, eq: a}",
    ],
)
def test_condition_of_wrong_arity_is_refused_at_load(refused, rule, when):
    assert refused(rules=rule(when=when))


def test_condition_cannot_change_the_arguments(load, request_of):
    given = [1]
    assert stock_on(given, "r.args.append(9) == None || True") is True
    assert given == [1, 9]
    arguments = {"path": ["a", {"b": [1, None, True]}], "amount": "10.50", "host": "https://EXAMPLE.org./x"}
    whens = (
        "argument: path, contains: a",
        "argument: path.append, eq: 9",
        "argument: path, length_le: 1",
        "argument: amount, le: 10.50",
        "argument: host, host_in: example.org",
        "argument: path, in: [a, 1, null]",
    )
    rules = "".join(
        f"  - {{id: r{n}, effect: deny, owner: t, when: [{{{when}}}]}}\n" for n, when in enumerate(whens)
    )
    request = request_of(arguments=arguments)
    before = copy.deepcopy(canonical_request(request))
    decision = decide(load("rules:\n" + rules), request)
    assert len(decision.matched) >= 4
    assert canonical_request(request) == before


def test_methods_are_no_arguments(load, rule, request_of):
    assert stock_on({"items": "own"}, "r.args.items == 'own'") is False
    for name in ("items", "keys", "pop", "get", "copy", "clear"):
        bundle = load(rule(effect="deny", when=f"[{{argument: {name}, eq: own}}]"))
        assert decide(bundle, request_of(arguments={name: "own"})).rule == "r"
        decision = decide(bundle, request_of(arguments={}))
        assert decision.condition_errors == (f"r: arguments.{name} cannot be tested: it is absent",)


@pytest.mark.parametrize("name", ["__class__", "__class__.__mro__", "a.__dict__", "a.b.__init__"])
def test_attributes_of_objects_are_out_of_reach(load, refused, rule, request_of, name):
    """Such a name is only ever a key."""
    bundle = load(rule(when=f"[{{argument: {name}, ne: x}}]"))
    decision = decide(bundle, request_of(arguments={"a": {"b": "c"}}))
    assert (decision.verdict, len(decision.condition_errors)) == ("deny", 1)


def test_only_the_requests_own_time_counts(load, rule, request_of):
    assert time_match_func("2020-01-01 00:00:00", "_") is True, "it asks the clock on the wall"
    window = "{from: '08:00', to: '09:00', zone: UTC}"
    bundle = load(rule(when=f"[{{attribute: time, time_between: {window}}}]"))
    for year in (1990, 2026, 2250):
        inside, outside = (datetime(year, 3, 1, hour, 30, tzinfo=UTC) for hour in (8, 9))
        assert decide(bundle, request_of(time=inside)).verdict == "allow"
        assert decide(bundle, request_of(time=outside)).verdict == "deny"


DECIDING = (
    "bundle", "compiled", "conditions", "content", "decision", "enforcer", "entries", "judgement", "normal",
    "operands", "operators", "patterns", "people", "view", "zones",
)  # fmt: skip


@pytest.mark.parametrize("module", DECIDING)
def test_nothing_that_decides_reads_clock_or_environment(module):
    source = Path(interlock.policy.__file__).with_name(f"{module}.py").read_text()
    used = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            used |= {alias.name for alias in node.names}
    outside = {
        "now",
        "utcnow",
        "today",
        "monotonic",
        "time_ns",
        "perf_counter",
        "environ",
        "getenv",
        "random",
        "uuid4",
    }
    assert used & outside == set()


def test_large_argument_is_not_turned_into_text_for_a_log(load, rule, request_of, caplog, monkeypatch):
    def listen():
        """Casbin mutes its loggers whenever an enforcer is made."""
        caplog.clear()
        caplog.set_level(logging.DEBUG, "casbin.enforcer")
        for name in ("casbin", "casbin.enforcer"):
            monkeypatch.setattr(logging.getLogger(name), "disabled", False)
            monkeypatch.setattr(logging.getLogger(name), "propagate", True)

    stock = plain(["p, a, o, x, allow"])
    listen()
    stock.enforce("a", "o" * 1_000_000, "x")
    assert max(len(record.getMessage()) for record in caplog.records) > 1_000_000
    bundle = load(rule(when="[{argument: path, length_le: 3000000}]"))
    request = request_of(arguments={"path": "x" * 1_000_000})
    decide(bundle, request)
    listen()
    assert decide(bundle, request).verdict == "allow"
    assert caplog.records
    assert max(len(record.getMessage()) for record in caplog.records) < 1000
    assert len(repr(RequestView(request, bundle.people))) < 200


def test_default_deny_is_explained(load, rule, request_of):
    assert plain(["p, a, o, x, allow"]).enforce_ex("z", "o", "x") == (False, [])
    decision = decide(load(rule()), request_of(tool="other"))
    assert (decision.verdict, decision.rule) == ("deny", "")
    assert (decision.nearest.rule, decision.nearest.source) == ("r", "permissions/rules.yaml:2")
    assert "'r'" in decision.reason
    assert "ask team" in decision.reason
    assert decide(load("rules: []\n"), request_of()).reason


def test_allow_beside_a_deny_is_explained(load, rule, request_of):
    text = rule() + "  - {id: guard, effect: deny, owner: t, tool: other}\n"
    decision = decide(load(text), request_of())
    assert (decision.verdict, decision.rule, decision.matched) == ("allow", "r", ("r",))
    both = decide(load(rule() + "  - {id: guard, effect: deny, owner: t}\n"), request_of())
    assert (both.verdict, both.rule, both.matched) == ("deny", "guard", ("guard", "r"))
