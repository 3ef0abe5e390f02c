"""core/uprobes_sim/sched.py"""

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from uprobes_sim.sched import Deadlock, Fiber, Scheduler


def speaker(sched: Scheduler, said: list[str], name: str, times: int = 2) -> Callable[[], None]:
    """Say the name some times, and let others speak in between."""

    def speak() -> None:
        for _ in range(times):
            said.append(name)
            sched.cond_resched("between words")

    return speak


def test_tasks_take_turns() -> None:
    sched, said = Scheduler(), list[str]()
    for name in "abc":
        sched.spawn(name, speaker(sched, said, name))

    sched.run()

    assert "".join(said) == "abcabc"
    assert sched.is_idle


def test_another_scheduler_may_choose_another_order() -> None:
    class Last(Scheduler):
        def pick(self, ready: Sequence[Fiber]) -> int:
            return len(ready) - 1

    sched, said = Last(), list[str]()
    for name in "abc":
        sched.spawn(name, speaker(sched, said, name))

    sched.run()

    assert "".join(said) == "ccbbaa"


def test_who_waits_goes_on_when_another_has_made_it_so() -> None:
    sched, said = Scheduler(), list[str]()

    def wait() -> None:
        said.append(f"{sched.wait_event('a word', lambda: 'b' in said)}")

    sched.spawn("waits", wait)
    sched.spawn("speaks", speaker(sched, said, "b"))
    sched.run()

    assert said == ["b", "True", "b"]


def test_time_passes_when_all_wait_and_the_first_deadline_ends_it() -> None:
    sched, woken = Scheduler(), list[tuple[int, bool]]()
    for time in (3000, 1000):

        def wait(time: int = time) -> None:
            met = sched.wait_event("nothing", lambda: False, deadline=time)
            woken.append((sched.clock.uptime, met))

        sched.spawn("sleeper", wait)

    sched.run()

    assert woken == [(1000, False), (3000, False)]


def test_timers_go_off_in_the_order_of_time_but_those_that_were_cancelled() -> None:
    sched, rung = Scheduler(), list[int]()
    timers = [sched.add_timer(time, partial(rung.append, time)) for time in (300, 100, 200)]
    sched.cancel_timer(timers[-1])

    met = sched.wait_event("both", lambda: len(rung) == 2)

    assert (met, rung, sched.clock.uptime) == (True, [100, 300], 300)


def test_a_hang_names_who_waits_and_for_what() -> None:
    sched = Scheduler()

    def wait(what: str) -> None:
        sched.wait_event(what, lambda: False)

    for what in ("the moon", "the sun"):
        sched.spawn("dreamer", partial(wait, what))

    with pytest.raises(Deadlock, match="dreamer waits for ever: the moon, and so do all others"):
        sched.run()


def test_a_pause_comes_back_to_who_has_started_it_and_goes_on_there() -> None:
    sched, said = Scheduler(), list[str]()

    def speak() -> None:
        said.append("a")
        sched.pause()
        said.append("b")

    sched.spawn("speaker", speak)
    sched.run()
    half = list(said)
    sched.run()

    assert (half, said) == (["a"], ["a", "b"])


def test_an_error_in_a_task_reaches_who_runs_them() -> None:
    sched = Scheduler()

    def fail() -> None:
        raise ValueError("wrong")

    sched.spawn("fails", fail)

    with pytest.raises(ValueError, match="wrong"):
        sched.run()
