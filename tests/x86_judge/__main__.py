"""The campaign: `python -m x86_judge --cases 100000 --bits 64 --seed 1`."""

import argparse
import random
from collections import defaultdict

from x86_judge.draw import ROWS, legacy_case, vex_case
from x86_judge.judge import Judge, Verdict, show
from x86_judge.known import unexplained


def main() -> int:
    """Judge as many cases as wanted; print what nothing explains, one line a kind."""
    parser = argparse.ArgumentParser(prog="x86_judge", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--bits", type=int, choices=(32, 64), default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vex", action="store_true", help="our own tables, not Unicorn")
    asked = parser.parse_args()
    rng, judge = random.Random(asked.seed), Judge(asked.bits)
    found = defaultdict[tuple[str, ...], list[Verdict]](list)
    for number in range(asked.cases):
        row = ROWS[number % len(ROWS)]
        case = vex_case(rng, asked.bits, row) if asked.vex else legacy_case(rng, asked.bits)
        verdict = judge.judge(case)
        fields = verdict.different if asked.vex else unexplained(verdict)
        if fields:
            found[verdict.text.split()[0], *sorted(fields)].append(verdict)
    for (name, *kinds), verdicts in sorted(found.items()):
        first = verdicts[0]
        print(f"{len(verdicts)} {name}: {first.case.code.hex()} {first.text}")
        for kind in kinds:
            print(f"    {kind}: {show(getattr(first.ours, kind))}")
            print(f"    {' ' * len(kind)}  {show(getattr(first.theirs, kind))}")
    print(f"{asked.cases} cases, {sum(map(len, found.values()))} unexplained")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
