"""core/uprobes_sim/scenarios: every one ends as it is known to, and for a reason."""

import re
from collections.abc import Iterator

import pytest

from uprobes_sim.choice import Options
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.log import Act, Record
from uprobes_sim.scenarios.dialect import DIALECTS, assemble
from uprobes_sim.scenarios.play import find, play, scenarios
from uprobes_sim.scenarios.scenario import ALL, Outcome, ScenarioError, scenario
from uprobes_sim.scenarios.stage import Stage

KERNELS = ("3.5", "3.6", "3.7", "3.8", "3.10", "3.12", "6.1", "6.11", "6.12", "6.13", "6.18")
PLAYS = [(name, arch) for name, each in scenarios().items() for arch in each.arches]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_scenario_ends_as_it_is_known_to(kernel: str) -> None:
    played = [play(find(name), Options(kernel=kernel, arch=arch)) for name, arch in PLAYS]

    wrong = [p for p in played if p.wrong]
    assert [f"{p.scenario.name} on {p.arch}: {p.outcome}; {p.wrong}" for p in wrong] == []
    assert all(p.causes for p in played if p.was_played)


def test_there_are_many_and_all_of_the_thread() -> None:
    told = {int(n) for each in scenarios().values() for n in re.findall(r"\b7\.(\d+)", each.source)}

    assert len(scenarios()) >= 40
    assert told == set(range(1, 26))


def test_history_shows() -> None:
    """At least three scenarios end differently on 3.6 and on 6.18."""

    def endings(kernel: str) -> list[str]:
        return [play(each, Options(kernel=kernel)).outcome for each in scenarios().values()]

    assert sum(old != new for old, new in zip(endings("3.6"), endings("6.18"), strict=True)) >= 3


def test_every_ending_is_seen_where_it_begins() -> None:
    for each in scenarios().values():
        for release, words in each.outcomes:
            played = play(each, Options(kernel=".".join(map(str, release))))
            assert played.outcome == words or not played.was_played, each.name


@pytest.fixture
def told() -> Iterator[None]:
    """Forget the scenarios that a test tells."""
    known = dict(ALL)
    yield
    ALL.clear()
    ALL.update(known)


def tell(name: str, outcome: Outcome) -> None:
    @scenario(name, title="", claim="", source="", expected="", outcomes="it is so")
    def play_it(stage: Stage) -> Outcome:
        return outcome


def test_an_outcome_without_a_cause_is_wrong(told: None) -> None:
    tell("groundless", Outcome("it is so", ()))

    assert play(ALL["groundless"], Options()).wrong == "the outcome names no cause"


def test_a_cause_that_never_happened_is_wrong(told: None) -> None:
    tell("made-up", Outcome("it is so", (Record(Act.WRITE, "never"),)))

    assert play(ALL["made-up"], Options()).wrong == "a cause is not in the log"


def test_an_outcome_that_is_not_known_is_wrong(told: None) -> None:
    @scenario("other", title="", claim="", source="", expected="", outcomes="it is so")
    def play_it(stage: Stage) -> Outcome:
        stage.register(stage.file("probed: nop"))
        return stage.outcome("it is otherwise", stage.because(Act.REGISTER))

    assert play(ALL["other"], Options()).wrong == "it is known to end so: it is so"


def test_a_search_for_a_cause_tells_what_was_done_instead(told: None) -> None:
    @scenario("searching", title="", claim="", source="", expected="", outcomes="it is so")
    def play_it(stage: Stage) -> Outcome:
        stage.register(stage.file("probed: nop"))
        return stage.outcome("it is so", stage.because(Act.LEAK))

    wrong = play(ALL["searching"], Options()).wrong

    assert wrong is not None
    assert "no cause: nothing like leak" in wrong
    assert "register" in wrong
    assert issubclass(ScenarioError, AssertionError)


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(UprobesSimError, match="did you mean hit-during-a-step"):
        find("hit-during-step")


def test_a_scenario_says_where_it_cannot_play() -> None:
    with pytest.raises(UprobesSimError, match="plays on powerpc, not on x86"):
        play(find("tw-fires-upstream"), Options(arch="x86"))


def test_powerpc_plays_on_its_patches_where_the_kernel_has_none() -> None:
    played = play(find("hit-during-a-step"), Options(kernel="3.6"))
    before = play(find("hit-during-a-step"), Options(kernel="3.5"))

    assert str(played.kernel) == "3.6+powerpc-v3"
    assert (before.was_played, before.wrong) == (False, None)


@pytest.mark.parametrize("arch", DIALECTS)
def test_jumps_lead_to_their_labels(arch: str) -> None:
    dialect = DIALECTS[arch]

    forward = assemble(dialect, "jump there; nop; there: ret")
    backward = assemble(dialect, "there: nop; jump there")

    size = dialect.calls["jump"][1]
    assert forward.labels == {"there": size + len(dialect.words["nop"])}
    assert forward.data[:size] == dialect.relative("jump", forward.labels["there"])
    assert backward.data[-size:] == dialect.relative("jump", -len(dialect.words["nop"]))
