"""All waiting, and all points at which another task could run.

One processor, round robin: what can run takes turns in a fixed order, so that two runs are the
same. Each task has a kernel stack of its own (a greenlet), so that code may wait wherever the
kernel does: it says so here and nowhere else. A scheduler that explores orders of events
overrides `pick`, and nothing that waits has to be touched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from greenlet import getcurrent, greenlet

from uprobes_sim.clock import Clock
from uprobes_sim.errors import EngineError


class Deadlock(EngineError):
    """Every task waits, and nothing will ever happen again."""


@dataclass(eq=False, slots=True)
class Fiber:
    """One flow of control: a task in the kernel or in user mode."""

    name: str
    stack: greenlet
    where: str = ""
    """What it waits for, while it waits."""
    condition: Callable[[], bool] | None = None
    deadline: int | None = None


@dataclass(eq=False, slots=True)
class Timer:
    """`struct hrtimer`: something to do at a time."""

    deadline: int
    """Nanoseconds of `Clock.uptime`."""
    function: Callable[[], None]


class Scheduler:
    """Who runs, and who waits for what."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Start with nobody, at the time of *clock*."""
        self.clock: Final = clock or Clock()
        self._ready: list[Fiber] = []
        self._waiting: list[Fiber] = []
        self._timers: list[Timer] = []
        self._current: Fiber | None = None
        self._hub: greenlet | None = None
        self._paused = False

    # --- flows of control -------------------------------------------------

    def spawn(self, name: str, body: Callable[[], None]) -> None:
        """Start *body*, which runs when it is its turn (wake_up_new_task)."""
        self._ready.append(Fiber(name, greenlet(body)))

    @property
    def is_idle(self) -> bool:
        """Tell whether there is nobody, not even one who waits."""
        return not self._ready and not self._waiting

    @property
    def is_shared(self) -> bool:
        """Tell whether something but the one who runs may need the processor in time."""
        return bool(self._ready or self._waiting or self._timers)

    def pick(self, ready: Sequence[Fiber]) -> int:
        """Choose who runs next, by its place in *ready*: the one who has waited longest."""
        return 0

    def run(self) -> None:
        """Let everybody run until all have ended, or one calls `pause`.

        Raises:
            Deadlock: all who are left wait, and for nothing that can happen.
        """
        self._hub = getcurrent()
        while not self.is_idle:
            self._wake()
            if not self._ready:
                self._sleep()
                continue
            fiber = self._ready.pop(self.pick(self._ready))
            self._current = fiber
            fiber.stack.parent = self._hub
            try:
                fiber.stack.switch()
            finally:
                self._current = None
            if self._paused:
                self._paused = False
                return

    def pause(self) -> None:
        """Go back to whoever has called `run`; the next `run` goes on here."""
        assert self._current is not None
        self._ready.insert(0, self._current)
        self._paused = True
        self._to_hub()

    def stop(self) -> None:
        """Forget everybody who has not ended."""
        self._ready, self._waiting, self._timers = [], [], []

    def _to_hub(self) -> None:
        assert self._hub is not None
        self._hub.switch()

    def _wake(self) -> None:
        """Make those ready for whom the time or the event has come, the longest waiting first."""
        now = self.clock.uptime
        woken = [fiber for fiber in self._waiting if _may_wake(fiber, now)]
        if woken:
            self._waiting = [fiber for fiber in self._waiting if fiber not in woken]
            self._ready += woken

    def _sleep(self) -> None:
        """Let time pass until the next thing happens."""
        deadlines = [f.deadline for f in self._waiting if f.deadline is not None]
        deadlines += [timer.deadline for timer in self._timers]
        if not deadlines:
            first = self._waiting[0]
            others = "there is no other task" if self._waiting == [first] else "so do all others"
            raise Deadlock(f"{first.name} waits for ever: {first.where}, and {others}")
        self.clock.sleep(min(deadlines) - self.clock.uptime)
        self.expire()

    # --- places -----------------------------------------------------------

    def cond_resched(self, where: str) -> None:
        """Let another task run, if there is one. *where* names the place."""
        if self._current is None:
            return
        self._wake()
        if self._ready:
            self._ready.append(self._current)
            self._to_hub()

    def wait_event(
        self, where: str, condition: Callable[[], bool], deadline: int | None = None
    ) -> bool:
        """Sleep until *condition* holds; False: *deadline*, in `Clock.uptime`, came before.

        Raises:
            Deadlock: nobody is left who could make it hold.
        """
        fiber = self._current
        if fiber is None:
            return self._wait_alone(where, condition, deadline)
        while not condition():  # another may have been quicker
            if deadline is not None and self.clock.uptime >= deadline:
                return False
            fiber.where, fiber.condition, fiber.deadline = where, condition, deadline
            self._waiting.append(fiber)
            self._to_hub()
        return True

    def _wait_alone(self, where: str, condition: Callable[[], bool], deadline: int | None) -> bool:
        """Wait outside of every task: only time can make *condition* hold."""
        while not condition():
            due = [timer.deadline for timer in self._timers]
            due += [] if deadline is None else [deadline]
            if not due:
                raise Deadlock(f"it waits for ever: {where}, and there is no other task")
            self.clock.sleep(min(due) - self.clock.uptime)
            self.expire()
            if deadline is not None and self.clock.uptime >= deadline:
                break
        return condition()

    # --- time -------------------------------------------------------------

    def add_timer(self, deadline: int, function: Callable[[], None]) -> Timer:
        """Have *function* called when `Clock.uptime` has reached *deadline* (hrtimer_start)."""
        timer = Timer(deadline, function)
        self._timers.append(timer)
        return timer

    def cancel_timer(self, timer: Timer) -> None:
        """Forget *timer*, if it has not gone off (hrtimer_cancel)."""
        if timer in self._timers:
            self._timers.remove(timer)

    def expire(self) -> None:
        """Call the functions of the timers whose time has come (hrtimer_interrupt)."""
        now = self.clock.uptime
        due = [timer for timer in self._timers if timer.deadline <= now]
        for timer in sorted(due, key=lambda timer: timer.deadline):
            self._timers.remove(timer)
            timer.function()


def _may_wake(fiber: Fiber, now: int) -> bool:
    assert fiber.condition is not None
    return fiber.condition() or (fiber.deadline is not None and fiber.deadline <= now)
