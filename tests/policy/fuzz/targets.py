"""What is fuzzed, and what must hold of each answer; anything else that is raised is a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policy.fuzz.mutation import Mutator
from policy.fuzz.seeds import OPERATORS, POLICY, REQUEST, policy_files
from pydantic import ValidationError

from interlock.errors import InvalidInput, PolicyError
from interlock.policy import Bundle, decide, load_bundle
from interlock.policy.content import Content
from interlock.policy.crosscheck import cross_check
from interlock.policy.entries import SECTIONS, Rule, name_of, read_entry
from interlock.policy.normal import ConditionError
from interlock.policy.view import RequestView
from interlock.types import AccessRequest

Shown = Any
Target = Callable[[Mutator], Shown]
"""Makes one input and tries it; returns what was tried, for the report. Raises only where something is wrong."""


class Fuzzed(Exception):
    """A crash, or a property that does not hold, with the input."""

    def __init__(self, tried: Shown, why: BaseException | str) -> None:
        super().__init__(f"{why!r} on {tried!r}"[:2000])
        self.tried = tried


class Targets:
    """The targets, over a folder to write in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "permissions"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = policy_files()
        self.bundle = whole(POLICY)
        self.stored = [self.bundle.to_bytes()]
        self.questions = [question.text for rule in self.bundle.rules for question in questions_of(rule.rule)]

    def all(self) -> dict[str, Target]:
        """By name."""
        return {
            "loader": self.load,
            "stored bundle": self.read_stored,
            "entries": self.entries,
            "conditions": self.condition,
            "requests": self.request,
        }

    def load(self, mutator: Mutator) -> bytes:
        """Bytes of a file: a bundle, or PolicyError with every problem at its file and line."""
        tree = mutator.random.random() < 0.6
        data = dumped(mutator.tree(POLICY)) if tree else mutator.bytes(self.files)
        (self.folder / "fuzzed.yaml").write_bytes(data)
        try:
            bundle = load_bundle(self.folder)
        except PolicyError as error:
            for problem in error.problems:
                check(problem.startswith("permissions/fuzzed.yaml:") and "\n" not in problem, data, problem)
            check(bool(error.problems), data, "no problem is named")
        else:
            again = Bundle.from_bytes(bundle.to_bytes())
            check(again.digest == bundle.digest, data, "its own bytes give another bundle")
            self._decides(bundle, AccessRequest.model_validate(REQUEST), data)
        return data

    def read_stored(self, mutator: Mutator) -> bytes:
        """Bytes of a bundle: a bundle of exactly these bytes, or PolicyError."""
        data = mutator.bytes(self.stored)
        if mutator.random.random() < 0.5:
            data = dumped(mutator.tree(json.loads(self.stored[0])), canonical=True)
        try:
            bundle = Bundle.from_bytes(data)
        except PolicyError:
            return data
        check(bundle.to_bytes() == data, data, "another bundle than its bytes say")
        self._decides(bundle, AccessRequest.model_validate(REQUEST), data)
        return data

    def entries(self, mutator: Mutator) -> dict[str, Any]:
        """Values of a file, past YAML: a bundle, or a refusal."""
        tried = mutator.tree(POLICY)
        try:
            bundle = whole(tried)
        except (ValidationError, InvalidInput, Refused):
            return tried
        self._decides(bundle, AccessRequest.model_validate(REQUEST), tried)
        return tried

    def condition(self, mutator: Mutator) -> tuple[Any, Any]:
        """Any value against any condition: true, false, or ConditionError."""
        random = mutator.random
        written = random.choice(OPERATORS)
        if random.random() < 0.5:
            written = mutator.tree(written)
        arguments = {"n": mutator.json(), "a": mutator.json()}
        tried = (written, arguments)
        entry = {
            "id": "r",
            "effect": random.choice(("allow", "deny")),
            "owner": "t",
            "agent": "agent:*",
            "tool": "a",
        }
        try:
            rule = read_entry("rules", {**entry, "when": [written]})
            content = Content()
            content.add("rules", rule, "file:1")
            content.load_zones()
            bundle = Bundle.from_content(content)
        except (ValidationError, InvalidInput):  # half characters, which no file can bring here
            return tried
        try:
            request = AccessRequest.model_validate({**REQUEST, "arguments": arguments})
        except (ValidationError, RecursionError):
            return tried
        self._tests(bundle, request, tried)
        return tried

    def _tests(self, bundle: Bundle, request: AccessRequest, tried: Any) -> None:
        (rule,) = bundle.rules
        try:
            view = RequestView(request, bundle.people)
        except InvalidInput as error:
            if "surrogate" in str(error):
                return
            # Floats and the like never come so far; the operators must stand them all the same.
            view = RequestView(request.model_copy(update={"arguments": {}}), bundle.people)
            view.request = request
        for condition in rule.conditions:
            try:
                found = condition.holds(view)
            except ConditionError:
                continue
            check(type(found) is bool, tried, f"answers {found!r}")

    def request(self, mutator: Mutator) -> dict[str, Any]:
        """Any request: a decision, or InvalidInput; never allowed where a condition could not be evaluated."""
        tool = f"t{mutator.random.randrange(len(OPERATORS))}"
        facts = {question: mutator.scalar() for question in self.questions if mutator.random.random() < 0.7}
        start = {**REQUEST, "tool": mutator.random.choice(("a", "a.b", tool)), "facts": facts}
        tried = mutator.tree({**start, "arguments": {"n": mutator.json()}})
        try:
            request = AccessRequest.model_validate(tried)
        except (ValidationError, RecursionError):
            return tried
        self._decides(self.bundle, request, tried)
        return tried

    def _decides(self, bundle: Bundle, request: AccessRequest, tried: Any) -> None:
        try:
            decision = decide(bundle, request)
        except InvalidInput:
            return
        check(decision.bundle == bundle.digest, tried, "names another bundle")
        rule = bundle.rule_by_id.get(decision.rule)
        if decision.verdict == "allow":
            check(rule is not None and rule.rule.effect == "allow", tried, "allowed without an allow rule")
            own = f"{decision.rule}: "
            check(
                not any(e.startswith(own) for e in decision.condition_errors), tried, "allowed by what is unclear"
            )
        if decision.verdict == "ask":
            check(decision.route is not None and bool(decision.route.approvers), tried, "asks nobody")
        check(decide(bundle, request) == decision, tried, "answers differ")


class Refused(Exception):
    """Content that the loader would refuse."""


def whole(policy: Any) -> Bundle:
    """A bundle of plain values."""
    content = Content()
    if not isinstance(policy, dict):
        raise Refused
    for section, items in policy.items():
        if section not in SECTIONS or not isinstance(items, list):
            raise Refused
        for item in items:
            entry = read_entry(section, item)
            if name_of(entry) in content.section(section):
                raise Refused
            content.add(section, entry, "file:1")
    if list(cross_check(content)):
        raise Refused
    content.load_zones()
    return Bundle.from_content(content)


def questions_of(rule: Rule) -> list[Any]:
    """What a rule asks about the run."""
    return [condition.question for condition in rule.when if condition.question is not None]


def dumped(value: Any, *, canonical: bool = False) -> bytes:
    """JSON, which YAML can read; what JSON cannot say is written as text."""
    form: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False} if canonical else {}
    return json.dumps(value, default=str, skipkeys=True, **form).encode("utf-8", "surrogatepass")


def check(holds: bool, tried: Any, why: str) -> None:
    """Say what is wrong with an answer."""
    if not holds:
        raise Fuzzed(tried, why)
