"""Policy: Casbin decides what an agent may do for a person. docs/policy.md states the semantics."""

from interlock.policy.bundle import Bundle
from interlock.policy.case_text import request_line
from interlock.policy.cases import Case, CaseResult, SourcedCase, read_cases, run_case, run_cases, uncovered_rules
from interlock.policy.decision import decide
from interlock.policy.difference import PolicyChange, policy_changes
from interlock.policy.explain import Explanation, MatchedRule, explain
from interlock.policy.history import History, PastCall, asks_for_labels, questions_about
from interlock.policy.loader import load_bundle, read_policy
from interlock.policy.mutation import MutationReport, Survivor, mutate
from interlock.policy.operands import regex_options
from interlock.policy.origins import Output, Source, trace
from interlock.policy.people import People
from interlock.policy.problems import Problem
from interlock.policy.references import check_references
from interlock.policy.schema import schema
from interlock.policy.source import PolicySource
from interlock.policy.witness import Witness, witness

__all__ = [
    "Bundle",
    "Case",
    "CaseResult",
    "Explanation",
    "History",
    "MatchedRule",
    "MutationReport",
    "Output",
    "PastCall",
    "People",
    "PolicyChange",
    "PolicySource",
    "Problem",
    "Source",
    "SourcedCase",
    "Survivor",
    "Witness",
    "asks_for_labels",
    "check_references",
    "decide",
    "explain",
    "load_bundle",
    "mutate",
    "policy_changes",
    "questions_about",
    "read_cases",
    "read_policy",
    "regex_options",
    "request_line",
    "run_case",
    "run_cases",
    "schema",
    "trace",
    "uncovered_rules",
    "witness",
]
