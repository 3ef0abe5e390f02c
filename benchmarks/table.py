"""A table of ratios, and whether each is what was aimed at."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two measurements and what their quotient should be."""

    what: str
    ours: float
    theirs: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        """Ours in terms of theirs."""
        return self.ours / self.theirs

    @property
    def good(self) -> bool:
        """Tell whether the aim is met."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


def report(unit: str, ours: str, theirs: str, ratios: list[Ratio]) -> None:
    """Print the table and exit: 0 when every aim is met, else 1."""
    print(f"{unit:<34} {ours:>14} {theirs:>20} {'ratio':>8}  aim")
    for ratio in ratios:
        aim = f">= {ratio.at_least}" if ratio.at_least is not None else f"<= {ratio.at_most}"
        print(
            f"{ratio.what:<34} {ratio.ours:>14,.6g} {ratio.theirs:>20,.6g} {ratio.value:>8.3g}"
            f"  {aim}{'' if ratio.good else '  MISSED'}"
        )
    sys.exit(0 if all(ratio.good for ratio in ratios) else 1)
