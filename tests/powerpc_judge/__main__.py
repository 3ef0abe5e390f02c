"""Run a campaign: `tox -e campaign-powerpc -- --cases 1000000`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from powerpc_judge import qemu
from powerpc_judge.campaign import OtherCampaign, load
from powerpc_judge.judge import Judge
from powerpc_judge.report import report


def main(
    state: Annotated[Path, typer.Option(help="Where to keep how far it is.")],
    page: Annotated[Path, typer.Option("--report", help="The summary to write.")],
    cases: Annotated[int, typer.Option(help="How many there are to be in the end.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="What they are drawn with.")] = 1,
) -> None:
    """Judge the powerpc engine by QEMU; go on where STATE says that it was stopped."""
    if qemu.missing():
        raise typer.BadParameter(f"{', '.join(qemu.missing())} not found (Debian: qemu-user)")
    try:
        campaign = load(state, seed)
    except OtherCampaign as exc:
        raise typer.BadParameter(str(exc), param_hint="--seed") from exc
    columns = (
        TextColumn("{task.fields[wrong]} mismatches"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with TemporaryDirectory() as folder, Progress(*columns) as progress:
        judge = Judge(Path(folder))
        task = progress.add_task("", total=cases, completed=campaign.cases, wrong=0)
        for _ in campaign.run(judge, cases):
            campaign.save(state)
            wrong = campaign.verdict.wrong.total()
            progress.update(task, completed=campaign.cases, wrong=wrong)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report(campaign, qemu.version()))
    wrong = campaign.verdict.wrong.total()
    typer.echo(f"{campaign.cases:,} cases, {wrong:,} mismatches: {page}")
    raise typer.Exit(wrong != 0)


typer.run(main)
