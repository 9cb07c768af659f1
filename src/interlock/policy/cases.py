"""Permission cases: requests with the decision that they must get. Tests of the policy, as files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationError

from interlock.errors import InvalidInput, PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.decision import decide
from interlock.policy.durations import duration, seconds
from interlock.policy.entries import Line
from interlock.policy.expected import Expected
from interlock.policy.history import History, PastCall, questions_about
from interlock.policy.loader import label
from interlock.policy.messages import messages
from interlock.policy.origins import MODEL
from interlock.policy.problems import Problem, did_you_mean
from interlock.policy.yaml_file import YamlFile, read_yaml
from interlock.types.access import AccessRequest, Decision, Flow
from interlock.types.closed import Closed
from interlock.types.names import Name, RunId, SubjectName, ToolName

Moment = Annotated[datetime, BeforeValidator(lambda v: v if isinstance(v, str | datetime) else str(v))]


class CaseCall(Closed):
    """A call that the run of a case made before."""

    tool: ToolName
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    ago: Annotated[str, AfterValidator(duration)] = "1m"
    """How long before the request: `90s`, `2h`."""
    finished_well: bool = True
    """False: it is under way still, or it failed."""


class CaseRequest(Closed):
    """The request of a case. What is left out has a plain default."""

    tenant: Name = "default"
    agent: SubjectName
    delegators: tuple[SubjectName, ...] = ()
    """The agents that handed the work on, outermost first; each must be allowed the call too."""
    requester: SubjectName
    tool: ToolName
    action: Name
    resource: str = ""
    """Left out: `tool:NAME`."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    run: RunId = "case"
    workflow: str = ""
    time: Moment = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
    """A Monday at noon, UTC."""
    flow: Flow = "reader"
    emits: tuple[Name, ...] = ()
    declassifies: tuple[Name, ...] = ()
    destination: tuple[str, ...] = ()
    """The arguments that say where to."""
    labels: dict[str, tuple[Name, ...]] = Field(default_factory=dict)
    """Argument → labels of where its value came from; left out: the model wrote it."""
    seen: tuple[Name, ...] = ()
    """Labels of what the run has seen."""
    so_far: tuple[CaseCall, ...] = ()
    """Calls that the run made before; refused ones are left out."""
    usage: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Model → tokens that the run read and wrote."""

    def as_request(self, bundle: Bundle) -> AccessRequest:
        """The access request that it stands for, with what this bundle asks about the run."""
        given = self.model_dump(exclude={"so_far", "usage", "resource", "labels"})
        labels = {name: tuple(sorted(self.labels.get(name, (MODEL,)))) for name in self.arguments}
        request = AccessRequest.model_validate(
            {**given, "resource": self.resource or f"tool:{self.tool}", "labels": labels}
        )
        own = PastCall(self.tool, self.arguments, request.time)
        calls = [
            PastCall(c.tool, c.arguments, request.time - timedelta(seconds=seconds(c.ago)), c.finished_well)
            for c in self.so_far
        ]
        facts = History(calls, self.usage).answers(questions_about(bundle, self.tool), own, bundle.prices)
        return request.model_copy(update={"facts": facts})


class Case(Closed):
    """One request and its expected decision."""

    name: Annotated[Line, Field(min_length=1)]
    """A sentence: `the fixer edits files under source`."""
    request: CaseRequest
    expect: Expected


class CaseResult(Closed):
    """What a case came to."""

    name: str
    source: str
    """`file:line`."""
    passed: bool
    expected: Expected
    decision: Decision | None
    """None: the request has no canonical form."""
    message: str
    """What differs; empty if it passed."""


@dataclass(frozen=True, slots=True)
class SourcedCase:
    """A case and where it stands."""

    source: str
    """`file:line`."""
    case: Case


def run_cases(bundle: Bundle, folder: Path) -> list[CaseResult]:
    """Decide every case in `folder` (`*.yaml`, key `cases`).

    Raises:
        PolicyError: a case file is wrong, or there is no case at all.
    """
    return [run_case(bundle, sourced) for sourced in read_cases(folder)]


def read_cases(folder: Path) -> list[SourcedCase]:
    """Every case in `folder` (`*.yaml`, key `cases`), in the order of files and lines.

    Raises:
        PolicyError: a case file is wrong, or there is no case at all.
    """
    cases: list[tuple[str, Case]] = []
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*.yaml")):
        file = read_yaml(path, f"{folder.resolve().parent.name}/{label(folder, path)}")
        problems += file.problems
        _read(file, cases, problems)
    names = [case.name for _, case in cases]
    problems += [Problem(at, f"case {c.name!r} is there twice") for at, c in cases if names.count(c.name) > 1]
    if not cases and not problems:
        problems.append(Problem(f"{folder}:1", "no case here"))
    if problems:
        lines = tuple(str(problem) for problem in sorted(problems, key=lambda p: p.order))
        raise PolicyError(f"the cases in {folder} were refused; {len(lines)} problem(s):", problems=lines)
    return [SourcedCase(source, case) for source, case in cases]


def _read(file: YamlFile, cases: list[tuple[str, Case]], problems: list[Problem]) -> None:
    value: Any = file.value if isinstance(file.value, dict) else {"?": None}
    problems += [
        Problem(file.source((key,)), f"unknown key {key!r}{did_you_mean(key, ['cases'])}")
        for key in value
        if key != "cases"
    ]
    items = value.get("cases", [])
    if not isinstance(items, list):
        problems.append(Problem(file.source(("cases",)), "'cases' must be a list"))
        return
    for index, item in enumerate(items):
        try:
            cases.append((file.source(("cases", index)), Case.model_validate(item)))
        except ValidationError as error:
            found = messages(error, Case, item)
            problems += [Problem(file.source(("cases", index, *place)), text) for place, text in found]


def run_case(bundle: Bundle, sourced: SourcedCase) -> CaseResult:
    """Decide one case."""
    case = sourced.case
    try:
        decision: Decision | None = decide(bundle, case.request.as_request(bundle))
        message = ""
    except InvalidInput as error:
        decision, message = None, str(error)
    if decision is not None and (differences := case.expect.differences(decision)):
        message = f"{'; '.join(differences)}: {decision.reason}"
    return CaseResult(
        name=case.name,
        source=sourced.source,
        passed=not message,
        expected=case.expect,
        decision=decision,
        message=message,
    )


def uncovered_rules(bundle: Bundle, results: Iterable[CaseResult]) -> list[Problem]:
    """Rules that decide no case that passed: nobody would notice if they were gone."""
    deciding = {result.expected.rule for result in results if result.passed}
    return [
        Problem(rule.source, f"rule {rule.id!r} decides no case")
        for rule in sorted(bundle.rules, key=lambda rule: rule.id)
        if rule.id not in deciding
    ]
