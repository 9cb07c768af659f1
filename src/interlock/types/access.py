"""What is asked of the policy and what it answers: access request, decision, obligations.

The words are those of OpenID AuthZEN and XACML. A policy decision is *allow, ask* or *deny*; an approval
decision is *approve, edit, reject* or *respond* (`interlock.types.approval`). The two are never mixed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from interlock.types.closed import Closed
from interlock.types.egress import EgressRule
from interlock.types.names import Digest, Name, RunId, SubjectName, ToolName
from interlock.types.route import Route

Verdict = Literal["allow", "ask", "deny"]
"""allow: the call runs. ask: it runs once the route's approvers approve it. deny: it does not run."""


Flow = Literal["reader", "writer", "sink"]
"""What a tool does with data. reader: it takes data in. writer: it changes the run's files. sink: data leaves the
run through it, also when it fetches a URL."""


class AccessRequest(Closed):
    """One question to the policy: may this agent, for this person, make this call now?

    Pure data. Its canonical bytes are stored, so that the decision can be made again years later.
    """

    tenant: Name
    """Exact; never a wildcard."""
    agent: SubjectName
    """The acting subject, `agent:fixer`."""
    delegators: tuple[SubjectName, ...] = ()
    """The agents that handed the work on, outermost first. The call must be one that each of them may make."""
    requester: SubjectName
    """The person the run acts for, `user:alice`."""
    tool: ToolName
    action: Name
    """The tool's declared verb: `read`, `write`, `execute`, `publish`, …"""
    resource: str
    """What the call acts on: the tool's `resource` template filled with its arguments."""
    arguments: dict[str, JsonValue]
    """Normalised arguments."""
    run: RunId
    workflow: str
    time: datetime
    """Aware UTC. The only clock a rule can see."""
    flow: Flow = "reader"
    """What the tool declares that it does with data."""
    emits: tuple[Name, ...] = ()
    """Labels that the tool declares for what it returns: `untrusted`, `secret`, classes of data."""
    declassifies: tuple[Name, ...] = ()
    """Labels that the tool declares to take away."""
    destination: tuple[str, ...] = ()
    """The arguments that say *where to*: recipient, URL, account, file."""
    labels: dict[str, tuple[str, ...]] | None = None
    """Argument → labels of the data that its value came from, sorted. None: nobody traced them."""
    seen: tuple[str, ...] = ()
    """Labels of all data that the run has seen so far, sorted. Means nothing where `labels` is None."""
    facts: dict[str, int | str] = Field(default_factory=dict)
    """Answers about the run so far to the questions that the policy's rules ask; a decimal is text."""
    events: int = Field(default=0, ge=0)
    """How many events of the run `facts`, `labels` and `seen` cover."""


class NearestRule(Closed):
    """For a default deny: the rule that came closest, and the first clause of it that failed."""

    rule: str
    clause: str
    """For example `tool is 'edit_file', the rule covers 'read_file'`."""
    source: str
    """`file:line` of the rule."""


class Limits(Closed):
    """Limits that a rule sets for a call, at most as wide as those of its sandbox profile."""

    time_s: int | None = Field(default=None, ge=1, le=3600)
    memory_mib: int | None = Field(default=None, ge=32, le=65536)
    pids: int | None = Field(default=None, ge=8, le=4096)
    output_kib: int | None = Field(default=None, ge=1, le=65536)


class Obligations(Closed):
    """What must be done besides, or the call does not run. One that an executor does not know denies."""

    egress: tuple[EgressRule, ...] = ()
    """What the call may reach, and nothing else; empty: what its profile says."""
    credentials: tuple[Name, ...] = ()
    """Credentials of its tool that the egress proxy may add to its requests."""
    limits: Limits | None = None
    redact: tuple[str, ...] = ()
    """RE2 patterns: what they match in the output is taken out before it is stored or read by a model."""
    notify: tuple[SubjectName, ...] = ()
    """Every `user:` who is told, sorted; groups and roles already expanded."""


class Decision(Closed):
    """The policy's answer to one access request under one bundle."""

    verdict: Verdict
    rule: str = ""
    """Id of the deciding rule; empty for a default deny."""
    matched: tuple[str, ...] = ()
    """Ids of all rules that matched, strongest first."""
    reason: str
    """One sentence for a person and for the model: which rule, why, what next."""
    nearest: NearestRule | None = None
    route: Route | None = None
    """Present if and only if the verdict is ask."""
    profile: Name | Literal[""] = ""
    """The sandbox profile that the call must run in; empty: the one that the tool names."""
    obligations: Obligations = Obligations()
    """The deciding rule's; those of several rules are not merged."""
    condition_errors: tuple[str, ...] = ()
    """Conditions that could not be evaluated: they match in deny and ask rules and not in allow rules."""
    bundle: Digest
    request: Digest
    """Digest of the access request's canonical bytes."""


def canonical_request(request: AccessRequest) -> dict[str, Any]:
    """The request as the JSON value that is hashed and stored. Where nobody handed work on, nothing says so."""
    return request.model_dump(mode="json", exclude=None if request.delegators else {"delegators"})
