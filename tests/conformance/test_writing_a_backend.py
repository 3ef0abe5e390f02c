"""What the page for authors of backends tells to do is done, and prints what the page shows."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-backend.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(node: ast.stmt) -> str | None:
    """The name that a statement at the top of a module gives."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target)
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else None


def revised(module: str, block: str) -> str:
    """The module with what *block* brings: imports in front, the rest in place of its namesake."""
    old, new = ast.parse(module), ast.parse(block)
    imports = [node for node in new.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    rest = {name: node for node in new.body if (name := named(node)) is not None}
    body = [rest.pop(named(node) or "", node) for node in old.body]
    last = max(n for n, node in enumerate(body) if isinstance(node, ast.ImportFrom))
    body[last + 1 : last + 1] = imports
    return ast.unparse(ast.Module([*body, *rest.values()], []))


def uprobes_sim(command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "uprobes_sim_cli", *command.split()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "uprobes-sim-oak")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def install(folder: Path) -> None:
    """Do what pip does of it: make the entry point known."""
    info = folder / "uprobes-sim-oak" / "uprobes_sim_oak-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: uprobes-sim-oak\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[uprobes_sim.arch]\noak = uprobes_sim_oak.uprobes\n")


def shown(text: str) -> re.Pattern[str]:
    """What is printed, where three dots stand for anything."""
    return re.compile(re.escape(text).replace(r"\.\.\.", r"[\s\S]*?"))


def test_the_page_leads_to_a_backend_that_passes(tmp_path: Path) -> None:
    package = tmp_path / "uprobes-sim-oak"
    verdicts = list[str]()
    for kind, block in BLOCK.findall(PAGE.read_text()):
        if kind == "python":
            file = package / block.partition("\n")[0].removeprefix("# ")
            brings = block.partition("\n")[2]
            file.write_text(revised(file.read_text(), brings) if file.exists() else brings)
        elif block.startswith("$ uprobes-sim "):
            command, _, expected = block.removeprefix("$ uprobes-sim ").partition("\n")
            printed = uprobes_sim(command, tmp_path)
            assert shown(expected).fullmatch(printed), printed
            verdicts.append(printed.splitlines()[-1])
            if command == "new-arch oak":
                install(tmp_path)

    assert verdicts[2:] == ["passed", "failed", "passed", "failed", "passed"]
