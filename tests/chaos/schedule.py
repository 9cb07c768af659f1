"""What goes wrong when, to which runs: drawn from a seed, so that the same seed gives the same schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from chaos.errands import AGENTS
from chaos.faults import FAULTS
from chaos.world import Store


@dataclass(frozen=True)
class Step:
    """Some runs are started, and then a fault is injected and healed; the next step does not wait for their end."""

    number: int
    fault: str
    agents: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number:3}  {self.fault:20} {' '.join(self.agents)}"


@dataclass(frozen=True)
class Schedule:
    """Steps, and where they came from."""

    seed: int
    store: Store
    runs: int
    steps: tuple[Step, ...]

    @classmethod
    def drawn(cls, seed: int, store: Store, runs: int, a_step: int = 2) -> Schedule:
        """So many runs, `a_step` with each fault; every fault that can happen to the store comes before one comes
        again."""
        random = Random(f"{seed} {store}")
        faults = _faults(random, store)
        steps, left = [], runs
        while left:
            fault, few = next(faults), min(a_step, left)
            suited = [random.choice(FAULTS[fault].suits)]
            others = random.choices(list(AGENTS), k=few - 1)
            steps.append(Step(len(steps), fault, (*suited, *others)))
            left -= few
        return cls(seed, store, runs, tuple(steps))

    def random(self, step: Step) -> Random:
        """What a step's fault draws from: the same for the same step."""
        return Random(f"{self.seed} {self.store} {step.number}")

    def __str__(self) -> str:
        again = f"make chaos SEED={self.seed} RUNS={self.runs} STORE={self.store}"
        return "\n".join((f"seed {self.seed}, {self.store}, {self.runs} runs ({again})", *map(str, self.steps)))


def _faults(random: Random, store: Store) -> Iterator[str]:
    names = [name for name, fault in FAULTS.items() if store in fault.happens_to]
    while True:
        yield from random.sample(names, len(names))
