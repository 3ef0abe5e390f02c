"""Take out of the text of an instruction the variables that only pass a value on."""

import ast


def tidy(body: list[ast.stmt]) -> list[ast.stmt]:
    """Drop what `_1 = g3` and `g4 = _2` do, where the value can be had or put at once."""
    body = list(body)
    at = 0
    while at < len(body):
        if _read_at_the_source(body, at):
            del body[at]
        elif _write_at_the_target(body, at):
            del body[at + 1]
        else:
            at += 1
    return body


def _read_at_the_source(body: list[ast.stmt], at: int) -> bool:
    """Replace a copy of a variable by that variable, unless it changes too early."""
    match body[at]:
        case ast.Assign([ast.Name(copy)], ast.Name(source)) if copy.startswith("_"):
            pass
        case _:
            return False
    changed = False
    for later in body[at + 1 :]:
        reads, writes = _names(later, ast.Load), _names(later, ast.Store)
        if copy in writes or (copy in reads and (changed or _changes_inside(later, source))):
            return False
        changed = changed or source in writes
    renaming = _Renaming(copy, source)
    for later in body[at + 1 :]:
        renaming.visit(later)
    return True


def _write_at_the_target(body: list[ast.stmt], at: int) -> bool:
    """Compute a value where it is wanted, if the next statement alone wants it."""
    match body[at : at + 2]:
        case [
            ast.Assign([ast.Name(passed)], value),
            ast.Assign([ast.Name() as target], ast.Name(read)),
        ] if passed == read and passed.startswith("_"):
            if any(passed in _names(later, ast.Load) for later in body[at + 2 :]):
                return False
            body[at] = ast.Assign([target], value, lineno=0)
            return True
    return False


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, context)
    }


def _changes_inside(statement: ast.stmt, name: str) -> bool:
    """Tell whether *statement* may change *name* before it has read everything."""
    return not isinstance(statement, ast.Assign) and name in _names(statement, ast.Store)


class _Renaming(ast.NodeTransformer):
    """Replaces one variable by another."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.new, node.ctx) if node.id == self.old else node
