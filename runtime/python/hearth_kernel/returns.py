"""Rewrites a top-level `return`, which ends the code with a value, as in a function.

Independent of evaluation.
"""

import ast

_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
FUNCTION = "__hearth_cell__"


def has_return(tree):
    """Returns whether `tree`, a module, has a return statement outside of functions."""
    return any(isinstance(node, ast.Return) for node in _own_nodes(tree.body))


def as_function(tree):
    """Moves the code of a module into the async function `FUNCTION` of the module.

    Its variables remain variables of the module. `from __future__` lines stay in front.
    """
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    body = [_Plain().visit(node) for node in tree.body if node not in future]
    if body and isinstance(body[-1], ast.Expr):
        body[-1] = ast.copy_location(ast.Return(body[-1].value), body[-1])
    names = sorted(_bound_names(body))
    # `global` of the code itself would follow the assignments.
    body = [node for node in body if not isinstance(node, ast.Global)]
    first = body[0] if body else None
    if names:
        body.insert(0, ast.Global(names))
    function = ast.AsyncFunctionDef(
        name=FUNCTION,
        args=ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]),
        body=body or [ast.Pass()],
        decorator_list=[],
        type_params=[],
    )
    if first is not None:
        ast.copy_location(function, first)
    module = ast.Module([*future, function], tree.type_ignores)
    return ast.fix_missing_locations(module)


def take_function(names):
    """Removes and returns the function, named like a module in tracebacks."""
    function = names.pop(FUNCTION)
    function.__code__ = function.__code__.replace(co_name="<module>", co_qualname="<module>")
    return function


def _moved(tree, place):
    for node in ast.walk(tree):
        ast.copy_location(node, place)
    return tree


class _Plain(ast.NodeTransformer):
    """Replaces what a function cannot contain: annotations of globals, and `from … import *`."""

    def visit_ImportFrom(self, node):
        if node.names[0].name != "*":
            return node
        run = ast.parse(f"exec({ast.unparse(node)!r}, globals())").body[0]
        return _moved(run, node)

    def visit_AnnAssign(self, node):
        if not isinstance(node.target, ast.Name):
            return node
        plain = ast.Pass() if node.value is None else ast.Assign([node.target], node.value)
        return ast.copy_location(plain, node)

    def _keep(self, node):
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = _keep


def _own_nodes(nodes):
    """Yields all nodes except those inside of functions and classes."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _NESTED):
            pending.extend(ast.iter_child_nodes(node))


def _bound_names(body):
    names = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names - _comprehension_names(body)


def _comprehension_names(body):
    """Returns the names that only comprehensions bind, because those are not variables."""
    inside, outside = set(), set()
    for node in _own_nodes(body):
        if isinstance(node, ast.comprehension):
            inside.update(each.id for each in ast.walk(node.target) if isinstance(each, ast.Name))
    if inside:
        outside.update(_stored_outside(body))
    return inside - outside


def _stored_outside(nodes):
    for node in nodes:
        if isinstance(node, ast.comprehension) or isinstance(node, _NESTED):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        yield from _stored_outside(ast.iter_child_nodes(node))
