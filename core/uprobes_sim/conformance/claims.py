"""What a backend may claim (`ArchInfo.claims`), and which level of the suite holds it to that."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from uprobes_sim.conformance.choice import Choice

LEVELS: Final = (
    "link",
    "decode",
    "classify",
    "step",
    "return",
    "processes",
    "scan",
    "oracle",
)
"""In the order in which they are tried. What one finds wrong, the next ones may stumble over."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A capability."""

    name: str
    level: str
    what: str


CLAIMS: Final = {
    claim.name: claim
    for claim in (
        Claim("step", "step", "a probed instruction does what it does without a probe"),
        Claim("emulate", "step", "some instructions are emulated, not stepped"),
        Claim("return", "return", "functions under return probes return as ever"),
        Claim("longjmp", "return", "frames that were left without a return are recognised"),
        Claim("processes", "processes", "several processes run the probed file"),
        Claim("fork", "processes", "children and threads have registers of their own"),
        Claim("scan", "scan", "an array of instructions is judged at once"),
        Claim("qemu", "oracle", "the engine does what QEMU does"),
        Claim("kernel", "oracle", "the running kernel accepts, steps and emulates the same"),
    )
}

BASIC: Final = ("link", "decode", "classify")
"""Levels that need no claim."""


def levels(claims: Iterable[str]) -> tuple[str, ...]:
    """List the levels that follow from *claims*."""
    claimed = {CLAIMS[name].level for name in claims if name in CLAIMS}
    return tuple(level for level in LEVELS if level in claimed or level in BASIC)


def chosen(choice: Choice, claims: Iterable[str]) -> tuple[str, ...]:
    """List the levels that are tried: the oracle's only where one is named."""
    found = choice.levels or levels(claims)
    return tuple(level for level in found if level != "oracle" or choice.oracle is not None)


def complaint(claim: str) -> str | None:
    """Say what is wrong with a claim that there is not."""
    if claim in CLAIMS:
        return None
    close = get_close_matches(claim, CLAIMS, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(CLAIMS)}"
    return f"nothing can be claimed by the name {claim}; {hint}"
