"""cli/uprobes_sim_cli/check.py"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from check_cases import CODE, FUNCTION, archived, compiled, note, tracepoints, x86
from elf_maker import Sym
from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = str(program("powerpc64le", "add3"))
LOCKED = bytes.fromhex("f0ff07c3")
"""lock incl (%rdi), which is refused, and ret."""
THREE = x86(
    code=FUNCTION + LOCKED + FUNCTION,
    symbols=(
        Sym("api_open", CODE, size=7),
        Sym("api_lock", CODE + 7, size=4),
        Sym("api_close", CODE + 11, size=7),
        Sym("main", CODE, kind="OBJECT"),
    ),
)


def invoke(*args: str, stdin: bytes = b"") -> Any:
    return CliRunner().invoke(app, ["check", *args], input=stdin)


def answers(*args: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    done = invoke("--format", "jsonl", *args, stdin=stdin)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_keys_of_an_answer() -> None:
    (answer,) = answers(ADD3, "add3", "--kernel", "6.1")

    assert list(answer) == [
        "probe",
        "arch",
        "kernel",
        "path",
        "symbol",
        "vaddr",
        "offset",
        "size",
        "insn",
        "text",
        "verdict",
        "errno",
        "errno_value",
        "rule",
        "reason",
        "warnings",
        "readings",
        "nearby",
        "exit",
    ]
    assert (answer["arch"], answer["kernel"], answer["path"]) == ("powerpc", "6.1", ADD3)
    assert (answer["insn"], answer["verdict"], answer["errno"]) == ("7c852214", "emulate", None)
    reading = answer["readings"]["this"]
    assert (reading["section"], reading["segment"]["flags"]) == (".text", "r-x")
    assert int(answer["vaddr"], 16) - answer["offset"] == (
        int(reading["segment"]["vaddr"], 16) - reading["segment"]["offset"]
    )


def test_json_is_one_array_with_the_bad_ones_in_their_places() -> None:
    done = invoke("--format", "json", ADD3, "nowhere", "add3")

    bad, good = json.loads(done.stdout)
    assert done.exit_code == 2
    assert list(bad) == ["probe", "error", "rule"]
    assert (bad["probe"], good["symbol"]) == ("nowhere", "add3")


@pytest.mark.parametrize(
    ("probe", "status"),
    [
        pytest.param("api_open", 0, id="accepted"),
        pytest.param("api_lock", 1, id="refused"),
        pytest.param("api_open+2", 1, id="damages"),
        pytest.param("nowhere", 2, id="no such place"),
    ],
)
def test_the_exit_status_tells_what_was_found(probe: str, status: int, tmp_path: Path) -> None:
    assert invoke(str(THREE(tmp_path)), probe).exit_code == status


def test_damage_is_said_first_and_loudest(tmp_path: Path) -> None:
    lines = invoke(str(THREE(tmp_path)), "api_open+2").stdout.splitlines()

    assert lines[1].startswith("  DAMAGES   accepted, and then the program is damaged: 2 bytes")


def test_a_refusal_says_what_happens_if_nobody_maps_the_file(tmp_path: Path) -> None:
    text = invoke(str(THREE(tmp_path)), "api_lock").stdout

    assert "refused with ENOTSUPP (524) by Linux 6.18" in text
    assert "[x86.prefix]" in text
    assert "[check.refused_at_mmap]" in text


@pytest.mark.parametrize(
    ("probe", "symbol"),
    [
        ("uprobe:{}:api_open+5", "api_open"),
        ("uretprobe:{}:api_close", "api_close"),
        ("u:{}:0x40000b", "api_close"),
        ("p:shop/open {}:0x1000 %ax", "api_open"),
        ("r {}:0x100b", "api_close"),
    ],
)
def test_the_languages_of_tracers_name_the_file_themselves(
    probe: str, symbol: str, tmp_path: Path
) -> None:
    path = THREE(tmp_path)

    (answer,) = answers(probe.format(path))

    assert (answer["path"], answer["symbol"]) == (str(path), symbol)
    assert answer["verdict"] != "reject"


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ("p:shop/9to5 {}:0x1000", "Event name must follow the same rules as C identifiers"),
        (f"p:shop/{'e' * 64} {{}}:0x1000", "Event name is too long"),
        (f"p:{'g' * 64}/e {{}}:0x1000", "Group name is too long"),
        ("p:/e {}:0x1000", "Group name is not specified"),
        ("p {}:0x1000%up", "Invalid probed address suffix"),
        ("p {}:0x1000(0x10", "Reference counter brace is not closed"),
        ("p {}:0x1000(0x10)%return", "Reference counter has wrong suffix"),
        ("p {}:0x1z", "Invalid uprobe offset"),
        ("p {}:open", "numbers only"),
    ],
)
def test_what_tracefs_refuses_is_einval_with_its_message(
    probe: str, message: str, tmp_path: Path
) -> None:
    path = str(THREE(tmp_path))

    (answer,) = answers(path, probe.format(path))

    assert (answer["verdict"], answer["errno"]) == ("reject", "EINVAL")
    assert message in answer["reason"]


def test_tracepoints_are_found_by_provider_and_name(tmp_path: Path) -> None:
    path = tracepoints(note(CODE + 5, 0x600004, "sale"), note(CODE, 0, "sale"))(tmp_path)

    both = answers(f"usdt:{path}:shop:sale")

    assert [answer["vaddr"] for answer in both] == [hex(CODE + 5), hex(CODE)]
    assert invoke(f"usdt:{path}:sales").exit_code == 2
    assert "it has shop:sale" in invoke(f"usdt:{path}:shop:sales").stderr


def test_tracepoints_are_found_by_wildcards(tmp_path: Path) -> None:
    path = tracepoints(note(CODE + 5, 0x600004, "sale"), note(CODE, 0, "stock"))(tmp_path)

    found = answers(f"usdt:{path}:shop:s*")

    assert [answer["probe"] for answer in found] == [
        f"usdt:{path}:shop:sale",
        f"usdt:{path}:shop:stock",
    ]
    assert [answer["vaddr"] for answer in answers(f"usdt:{path}:sh?p:*k")] == [hex(CODE)]


def test_bpftrace_finds_programs_by_name_and_takes_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = THREE(tmp_path)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = answers("uprobe:program:api_open", f'uprobe:{path}:"api_open"+5')

    assert [answer["vaddr"] for answer in found] == [hex(CODE), hex(CODE + 5)]
    assert {answer["path"] for answer in found} == {str(path)}


@pytest.mark.parametrize(
    ("operand", "says"),
    [
        ("uprobe:/bin/sh:@0x10", "behind the path bpftrace takes SYMBOL"),
        ("/no/such/file", "/no/such/file does not exist; name an ELF file, and probes in it"),
        (ADD3, "name a probe in it"),
    ],
)
def test_what_is_wrong_with_a_lone_operand_is_told(operand: str, says: str) -> None:
    done = invoke(operand)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_refused_symbol_fails_the_whole_link(tmp_path: Path) -> None:
    *members, link = answers(str(THREE(tmp_path)), "api_*")

    assert [member["probe"] for member in members] == ["api_lock", "api_open", "api_close"]
    assert (link["link"], link["probes"], link["accepted"]) == ("uprobe_multi", 3, False)
    assert (link["errno"], link["errno_value"]) == ("ENOTSUPP", 524)
    assert link["failing"] == [
        {"probe": "api_lock", "offset": 0x1007, "errno": "ENOTSUPP", "rule": "x86.prefix"}
    ]
    assert link["without"] == ["api_open", "api_close"]


def test_a_link_is_told_by_what_to_leave_out(tmp_path: Path) -> None:
    lines = invoke(str(THREE(tmp_path)), "api_*").stdout.splitlines()

    assert lines[-2:] == ["  because of  api_lock", "  without     it, a link takes the other 2"]


def test_what_hurts_comes_first_of_a_wildcard() -> None:
    """Behind it what is refused, then the others; each by address."""
    path = str(program("x86_64", "endings"))

    *found, _ = answers(path, "*%return")
    text = invoke(path, "*%return").stdout.splitlines()

    names, places = zip(*((each["probe"], int(each["vaddr"], 16)) for each in found), strict=True)
    assert names[:2] == ("_start%return", "trap_here%return")
    assert list(places[2:]) == sorted(places[2:])
    assert tuple(line.split()[0] for line in text if line.split()[0] in names) == names


def test_a_list_is_one_link_as_well(tmp_path: Path) -> None:
    done = invoke(str(THREE(tmp_path)), "--multi", "api_open", "api_close")

    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "all probes: one uprobe_multi link takes all 2"


def test_probes_are_read_from_standard_input(tmp_path: Path) -> None:
    done = invoke(str(THREE(tmp_path)), "-", "--format", "jsonl", stdin=b"api_open\nzzz\nmain\n")

    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 2
    assert [each["probe"] for each in found] == ["api_open", "zzz", "main"]


EXITS = """
#include <stdlib.h>
__attribute__((noinline)) int other(int a) { return a * 3; }
__attribute__((noinline)) int leaves(int a, int (*call)(int)) {
  if (a == 1) abort();
  if (a == 2) return other(a);
  if (a == 3) __builtin_trap();
  if (a == 4) return call(a);
  return a + call(a);
}
int main(int argc, char **argv) { return leaves(argc, other); }
"""


def test_all_exits_of_a_function_are_found(tmp_path: Path) -> None:
    path = str(compiled(EXITS, "-O2", "-fcf-protection=none")(tmp_path))

    found = answers(path, "--exits", "leaves")

    exits = {(each["exit"]["kind"], each["exit"]["target_symbol"]) for each in found}
    assert exits == {
        ("return", None),
        ("tail_call", "other"),
        ("jump", None),
        ("no_return", "abort"),
        ("trap", None),
    }
    assert all(each["verdict"] in ("emulate", "xol") for each in found)


def test_exits_of_powerpc_are_found() -> None:
    found = answers(ADD3, "--exits", "add3")

    assert [each["exit"]["kind"] for each in found][-1] == "return"
    assert found[-1]["insn"] == "4e800020"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        pytest.param([ADD3], "name a probe in it", id="no probe"),
        pytest.param(["/nosuch", "main"], "does not exist", id="no file"),
        pytest.param([ADD3, "a b"], "is no probe; write SYMBOL", id="no probe at all"),
        pytest.param([ADD3, "zzz*"], "no function with such a name", id="no match"),
        pytest.param([ADD3, "0x1"], "no address that the file has bytes for", id="no address"),
        pytest.param([ADD3, "--exits", "0x1000000"], "nothing tells where", id="no function"),
        pytest.param([ADD3, "uprobe:/bin/sh:main"], "it names /bin/sh, not", id="other file"),
        pytest.param([f"usdt:{ADD3}:a:b"], "has no tracepoints", id="no tracepoints"),
    ],
)
def test_bad_input_is_one_line(args: list[str], reason: str) -> None:
    done = invoke(*args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_kernel_built_without_uprobes_answers_enosys(command: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("# CONFIG_UPROBES is not set\n")

    done = CliRunner().invoke(
        app, [command, ADD3, "add3", "--kconfig", str(config), "--format", "jsonl"]
    )

    answer = json.loads(done.stdout)
    assert (answer["errno"], answer["rule"]) == ("ENOSYS", "uprobes.not_configured")
    assert "check.refused_at_mmap" not in {each["rule"] for each in answer["warnings"]}
    assert answer.get("by_kernel", {"6.1": {"errno": None}})["6.1"]["errno"] is None


def test_the_running_kernel_is_taken_with_its_configuration() -> None:
    (answer,) = answers(ADD3, "add3", "--kernel", "running")

    assert answer["verdict"] == "emulate"


def test_an_archive_is_the_file_that_a_line_of_uprobe_events_names(tmp_path: Path) -> None:
    path = archived(0x1000)(tmp_path)

    done = invoke(f"{path}!/lib/f.so", f"p {path}:0x2000")

    assert (done.exit_code, done.stderr) == (0, "")
    assert "offset 0x2000 in .text" in done.stdout
