"""What goes wrong: processes that die at a failpoint, a processor that is slow, silent or lost in between, lost mail.

Everything is drawn from one seeded generator, so a run that fails can be run again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

from catalyst.core.errors import DomainError
from catalyst.core.failpoints import REGISTRY, Crash, armed
from tests.stripe_standin import Fault, StripeStandIn

#: Dies in the middle of money; Git has a crash matrix of its own.
_ELSEWHERE = ("install.", "push.", "platform.", "job.", "secret.", "change.apply.", "change.give_back.", "change_push.")
POINTS = tuple(sorted(name for name in REGISTRY if not name.startswith(_ELSEWHERE)))
FAULTS = (
    *(Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.ERROR_500, Fault.ERROR_503),
    *(Fault.STORED_500_WITH_EFFECT, Fault.STORED_500_WITHOUT_EFFECT, Fault.ERROR_429, Fault.ERROR_409),
)


@dataclass
class Chaos:
    """Trouble with a probability. ``level`` 0 is a quiet world."""

    random: Random
    standin: StripeStandIn
    level: float
    crashes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def happens(self, chance: float) -> bool:
        return self.random.random() < chance * self.level

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Run the block in a process that may die, with a processor that may fail; a death ends the block silently."""
        if self.happens(0.3):
            fault = self.random.choice(FAULTS)
            self.faults[fault.name] += 1
            self.standin.script("*", fault, times=self.random.randint(1, 2), skip=self.random.randint(0, 3))
        try:
            if self.happens(0.3):
                with doomed(nth=self.random.randint(1, 4), note=self.crashes):
                    yield
            else:
                yield
        except Crash:
            pass
        finally:
            self.standin.clear_faults()


@contextmanager
def doomed(*, nth: int, note: Counter[str] | None = None) -> Iterator[None]:
    """Die at the nth named point that the block comes to, whichever it is; a short block survives."""
    passed = 0

    def die(point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == nth:
            if note is not None:
                note[point] += 1
            raise Crash

    with ExitStack() as points:
        for point in POINTS:
            points.enter_context(armed(point, partial(die, point)))
        yield


def guarded(action: Callable[[], object]) -> bool:
    """Run one action that a person may see refused; return whether it went through."""
    try:
        action()
    except DomainError:
        return False
    return True


__all__ = ["FAULTS", "POINTS", "Chaos", "doomed", "guarded"]
