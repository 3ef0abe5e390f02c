"""cli/uprobes_sim_cli/scenario.py"""

import json

from typer.testing import CliRunner, Result

from uprobes_sim_cli.app import app


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_without_a_name_they_are_listed() -> None:
    listed = invoke("scenario")
    objects = json.loads(invoke("scenario", "--format", "json").stdout)

    assert listed.exit_code == 0
    assert "hit-during-a-step" in listed.stdout
    assert {"name", "title", "claim", "source"} <= set(objects[0])


def test_one_tells_its_claim_its_outcome_and_why() -> None:
    played = invoke("--kernel", "3.6", "scenario", "hit-during-a-step")

    assert played.exit_code == 0
    assert "outcome   the step is forgotten" in played.stdout
    assert "because   forget" in played.stdout
    assert "(powerpc, Linux 3.6+powerpc-v3)" in played.stdout


def test_all_are_played_and_none_is_wrong() -> None:
    played = invoke("scenario", "all", "--format", "jsonl")
    objects = [json.loads(line) for line in played.stdout.splitlines()]

    assert played.exit_code == 0
    assert all(each["wrong"] is None and each["outcome"] and each["kernel"] for each in objects)


def test_an_architecture_plays_what_it_can() -> None:
    objects = json.loads(invoke("--arch", "x86", "scenario", "all", "--format", "json").stdout)

    assert {each["arch"] for each in objects} == {"x86"}


def test_a_name_that_is_not_there_is_one_line() -> None:
    missing = invoke("scenario", "nosuch")

    assert missing.exit_code == 2
    assert missing.stderr == (
        "uprobes-sim: no scenario is called nosuch; uprobes-sim scenario lists them\n"
    )


def test_plain_3_6_has_no_powerpc() -> None:
    refused = invoke("--arch", "powerpc", "--kernel", "3.6", "explain", "60000000")

    assert refused.exit_code == 2
    assert "Linux 3.6 has no uprobes on powerpc; 3.7 is the first" in refused.stderr
    assert refused.stderr.count("\n") == 1
