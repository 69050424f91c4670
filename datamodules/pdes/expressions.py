"""Formulas as text, by an explicit grammar: arithmetic, named variables, some functions. Nothing is executed.

    expression = number | variable | pi | -e | e + e | e - e | e * e | e / e | e ** e | function(e)

with the functions sin cos tan sinh cosh tanh exp log sqrt abs, in float64.

Example:
    >>> import torch
    >>> float(Expression("2*x**2 - sin(pi*y)", ("x", "y"))(x=torch.tensor(3.0), y=torch.tensor(0.5)))
    17.0
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zoo.checks import require

MAX_LENGTH = 2000
MAX_DEPTH = 60
LARGEST = sys.float_info.max  # literals beyond are infinite in floating point, or too long for it

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
}
OPERATIONS: dict[type[ast.operator], Callable[[Tensor, Tensor], Tensor]] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: torch.div,
    ast.Pow: torch.pow,
}
CONSTANTS = {"pi": math.pi}


class Expression:
    """A formula.

    Args:
        text: of the grammar above; a number is one too.
        variables: the names that it may use.

    Attributes:
        text: as it was given.
        used: the variables that appear in it.

    Raises:
        ValueError: the text does not follow the grammar; the message names the place.
    """

    def __init__(self, text: str | float, variables: Sequence[str]) -> None:
        self.text = str(text).strip()
        require(0 < len(self.text) <= MAX_LENGTH, "expression", self.text[:80], f"1 .. {MAX_LENGTH} characters")
        try:
            self._root = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise ValueError(f"expression={self.text!r} is not allowed; give a formula ({error})") from error
        self.used: set[str] = set()
        self._check(self._root, set(variables), 0)

    def __call__(self, **values: Tensor) -> Tensor:
        """Return the value at those of the variables, float64, in their common shape."""
        result = self._evaluate(self._root, values)
        shape = torch.broadcast_shapes(*(value.shape for value in values.values()))
        return result.expand(shape) if result.shape != shape else result

    def _check(self, node: ast.expr, variables: set[str], depth: int) -> None:
        require(depth <= MAX_DEPTH, "expression", self.text[:80], f"a formula nested at most {MAX_DEPTH} deep")
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and value <= LARGEST:
                pass
            case ast.Name(id=name) if name in variables:
                self.used.add(name)
            case ast.Name(id=name) if name in CONSTANTS:
                pass
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._check(operand, variables, depth + 1)
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in OPERATIONS:
                self._check(left, variables, depth + 1)
                self._check(right, variables, depth + 1)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                self._check(argument, variables, depth + 1)
            case _:
                part = ast.get_source_segment(self.text, node) or type(node).__name__
                allowed = ", ".join([*sorted(variables), *CONSTANTS, *FUNCTIONS])
                raise ValueError(
                    f"expression={self.text!r} is not allowed at {part!r}; give numbers, + - * / **, and {allowed}"
                )

    def _evaluate(self, node: ast.expr, values: dict[str, Tensor]) -> Tensor:
        match node:
            case ast.Constant(value=int() | float() as number):
                return torch.tensor(float(number), dtype=torch.float64)
            case ast.Name(id=name):
                return torch.as_tensor(values[name] if name in values else CONSTANTS[name], dtype=torch.float64)
            case ast.UnaryOp(op=operation, operand=operand):
                value = self._evaluate(operand, values)
                return -value if isinstance(operation, ast.USub) else value
            case ast.BinOp(left=left, op=binary, right=right):
                return OPERATIONS[type(binary)](self._evaluate(left, values), self._evaluate(right, values))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return FUNCTIONS[name](self._evaluate(argument, values))
        raise AssertionError("checked at construction")
