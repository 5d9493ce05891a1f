"""What a tool for assistants is: its name, its arguments with their limits, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from runtime import Runtime

Arguments = dict[str, Any]


class BadArguments(ValueError):
    """Arguments that a tool does not take; the message says which it takes."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the tools use; `address` returns the address of a document by its ID and collection."""

    session: Session
    runtime: Runtime
    address: Callable[[str, str], str]
    may_match: bool = True
    wait_s: float | None = None  # for the model, if longer than a visitor waits

    def may_use(self, tool: Tool) -> bool:
        return self.may_match or not tool.matches


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool: its description and its check are the same limits."""

    name: str
    description: str
    kind: str = "string"  # or `integer`, or `list`, of strings
    default: object = ""
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0  # characters, a number, or elements
    is_required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return the parameter as JSON Schema."""
        common = {"description": self.description} | ({} if self.is_required else {"default": self.default})
        if self.kind == "list":
            return {"type": "array", "items": {"type": "string"}, "maxItems": self.most} | common
        if self.kind == "integer":
            return {"type": "integer", "minimum": self.least, "maximum": self.most} | common
        limits = {"enum": list(self.choices)} if self.choices else {"maxLength": self.most}
        return {"type": "string"} | limits | common

    def check(self, value: object) -> object:
        """Return a value as the tool takes it; raises BadArguments."""
        if self.kind == "list":
            parts = value if isinstance(value, list) else []
            if not isinstance(value, list) or not all(isinstance(part, str) for part in parts):
                raise BadArguments(f"{self.name} must be a list of strings.")
            if len(parts) > self.most:
                raise BadArguments(f"{self.name} has {len(parts)} elements: at most {self.most} are allowed.")
            return parts
        if self.kind == "integer":
            is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
            if not is_whole or not self.least <= value <= self.most:  # type: ignore[operator]
                raise BadArguments(f"{self.name} must be a whole number from {self.least} to {self.most}.")
            return int(value)  # type: ignore[call-overload]
        if not isinstance(value, str):
            raise BadArguments(f"{self.name} must be a string.")
        if self.choices and value not in self.choices:
            raise BadArguments(f"{self.name} must be one of {', '.join(self.choices)}.")
        if not self.choices and len(value) > self.most:
            raise BadArguments(f"{self.name} has {len(value)} characters: at most {self.most} are allowed.")
        return value


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: `run` takes the toolbox and all arguments, and returns what is sent as JSON."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    run: Callable[[Toolbox, Arguments], dict[str, Any]]
    matches: bool = False  # needs the right to match skills

    def arguments(self, given: object) -> Arguments:
        """Return all arguments, checked and with defaults; raises BadArguments."""
        if not isinstance(given, Mapping | None):
            raise BadArguments("The arguments must be an object.")
        values = {name: value for name, value in (given or {}).items() if value is not None}
        known = {parameter.name: parameter for parameter in self.parameters}
        if unknown := sorted(values.keys() - known.keys()):
            named = ", ".join(name[:50] for name in unknown[:5])
            raise BadArguments(f"{self.name} does not take {named}; it takes {', '.join(known) or 'no arguments'}.")
        if missing := [name for name, parameter in known.items() if parameter.is_required and name not in values]:
            raise BadArguments(f"{self.name} needs {' and '.join(missing)}.")
        return {
            name: parameter.check(values[name]) if name in values else parameter.default
            for name, parameter in known.items()
        }


def listed_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as `tools/list` has it."""
    schema = {
        "type": "object",
        "properties": {parameter.name: parameter.schema() for parameter in tool.parameters},
        "required": [parameter.name for parameter in tool.parameters if parameter.is_required],
        "additionalProperties": False,
    }
    hints = {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False}
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": schema,
        "annotations": hints,
    }
