"""`uprobes-sim new-arch`: a package in which only the answers are missing."""

import ast
import re
from importlib.metadata import version
from inspect import cleandoc, getsource
from pathlib import Path
from typing import Final

from uprobes_sim import hookspecs
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.hookspecs import INTERFACE
from uprobes_sim.linker import installed
from uprobes_sim_cli.streams import STDOUT, writing

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

_PYPROJECT: Final = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "uprobes-sim-{name}"
version = "0.1.0"
description = "{name} for uprobes-sim"
requires-python = ">=3.11"
dependencies = ["uprobes-sim>={version}"]

[project.optional-dependencies]
test = ["uprobes-sim[conformance]"]

[project.entry-points."uprobes_sim.arch"]
{name} = "{package}.uprobes"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

_README: Final = """\
# uprobes-sim-{name}

The {name} architecture for uprobes-sim.

    pip install -e '.[test]'
    uprobes-sim conformance --arch {name}

says what is still missing, and once nothing is, what is wrong.
"""

_TEST: Final = '''\
"""The conformance suite of uprobes-sim against this package."""

import subprocess
import sys


def test_the_backend_conforms() -> None:
    command = [sys.executable, "-m", "uprobes_sim_cli", "conformance", "--arch", "{name}"]

    done = subprocess.run([*command, "--examples", "50"], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
'''

_HEAD: Final = '''\
"""The {name} side of uprobes, after arch/{name}/kernel/uprobes.c.

Write an answer in place of each NotImplementedError. `uprobes-sim conformance
--arch {name}` lists those that are left. What has a default is not here: see "Write a
backend in an afternoon" in the documentation of uprobes-sim.
"""

{imports}
INTERFACE = {interface}
"""Version of the interface that this was written for."""
'''


def new_arch(name: str, folder: Path | None) -> int:
    """Write a package for the architecture *name* into *folder*, by default `uprobes-sim-NAME`.

    Raises:
        UprobesSimError: a name that is taken or cannot be one of a module; the folder is there;
            it cannot be written.
    """
    if _NAME.fullmatch(name) is None:
        raise UprobesSimError(
            f"{name!r} cannot name a module; take small letters and digits, such as vax"
        )
    if name in installed():
        raise UprobesSimError(f"a plugin is named {name} already; take another name")
    target = folder or Path(f"uprobes-sim-{name}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UprobesSimError(f"{target} is there already; name another folder or remove it")
    try:
        for path, text in _files(name).items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    except OSError as exc:
        raise UprobesSimError(f"cannot write {target}: {exc.strerror}") from None
    with writing(STDOUT):
        print(
            f"{target} is written. Now:",
            f"  pip install -e {target}",
            f"  uprobes-sim conformance --arch {name}",
            sep="\n",
        )
    return 0


def _files(name: str) -> dict[str, str]:
    package = f"uprobes_sim_{name}"
    words = {"name": name, "package": package, "version": version("uprobes-sim")}
    return {
        "pyproject.toml": _PYPROJECT.format(**words),
        "README.md": _README.format(**words),
        f"{package}/__init__.py": f'"""The {name} architecture for uprobes-sim."""\n',
        f"{package}/py.typed": "",
        f"{package}/uprobes.py": _module(name),
        "tests/test_conformance.py": _TEST.format(**words),
    }


def _module(name: str) -> str:
    """Write every required hook, with its question, from the questions themselves."""
    tree = ast.parse(getsource(hookspecs))
    required = next(
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "RequiredHooks"
    )
    hooks = [node for node in required.body if isinstance(node, ast.FunctionDef)]
    head = _HEAD.format(name=name, imports=_imports(tree, hooks), interface=INTERFACE)
    return "\n\n".join([head.rstrip("\n"), *map(_hook, hooks)]) + "\n"


def _imports(tree: ast.Module, hooks: list[ast.FunctionDef]) -> str:
    """Import what the questions are typed with."""
    used = {node.id for hook in hooks for node in ast.walk(hook) if isinstance(node, ast.Name)}
    lines = ["from uprobes_sim import hookimpl"]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uprobes_sim"):
            names = [alias.name for alias in node.names if alias.name in used]
            if names:
                lines.append(f"from {node.module} import {', '.join(names)}")
    return "\n".join(lines) + "\n"


def _hook(hook: ast.FunctionDef) -> str:
    """Write a hook that is still to be answered."""
    arguments = [argument for argument in hook.args.args if argument.arg != "self"]
    signature = ", ".join(map(ast.unparse, arguments))
    returns = ast.unparse(hook.returns) if hook.returns is not None else "None"
    lines = cleandoc(ast.get_docstring(hook) or "").splitlines()
    question = "\n".join(f"    {line}".rstrip() for line in lines)
    quotes = '"""' if len(lines) == 1 else '\n    """'
    head = f"def {hook.name}({signature}) -> {returns}:"
    if len(head) > 99:
        head = f"def {hook.name}(\n    {signature}\n) -> {returns}:"
    return f'\n@hookimpl\n{head}\n    """{question.lstrip()}{quotes}\n    raise NotImplementedError'
