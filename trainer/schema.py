"""Sections of a schema: frozen, unknown keys refused, one kind of several by name, and one line for a fault."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from trainer.errors import UserError
from trainer.files import one_line


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes true for 1; YAML reads yes and on as true."""
        field = cls.model_fields[str(info.field_name)]
        items = value if isinstance(value, (list, tuple)) else (value,)
        if any(isinstance(item, bool) for item in items):
            wanted = _types_in(field.annotation)
            if wanted & {int, float} and bool not in wanted:
                raise ValueError("a number is needed, and yes, no, on, off, true and false are none")
        return value


S = TypeVar("S", bound=Section)


class OneOf:
    """`Annotated[Base, OneOf(kinds)]` is a section of one of these kinds, told apart by its key `kind`."""

    def __init__(self, kinds: Mapping[str, type[Section]]) -> None:
        self.kinds = kinds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(section) for kind, section in self.kinds.items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")


def parse(schema: type[S], values: Mapping[str, Any], where: str) -> S:
    """Checked values, or a UserError that begins with `where`: key, value, rule."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, schema)}") from None


def _explain(error: ValidationError, schema: type[Section]) -> str:
    """The first fault in one line; the nearest name for an unknown key or kind."""
    faults = error.errors(include_url=False)
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])  # the cause comes first
    keys, known = _place(schema, fault)
    where, value = one_line(".".join(keys)), fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key; {_hint(keys[-1], known)}"
    if fault["type"] == "missing":
        return f"{where}: missing, and it has no default"
    if fault["type"] == "union_tag_invalid":
        return f"{where}.kind: {_short.repr(value['kind'])} is not known; {_hint(str(value['kind']), known)}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "union_tag_not_found":
        message = f"its kind is needed, one of {', '.join(known)}"
    elif fault["type"] == "string_pattern_mismatch":
        message = "letters, digits, _ . - alone, and neither . nor - first"
    elif fault["type"] == "model_type":
        message = f"a section, with {', '.join(known)}, is needed"
    elif fault["type"] == "string_type" and isinstance(value, (int, float, date)):
        message = "a text is needed; put it in quotes"
    elif fault["type"] == "invalid_key":
        message = "keys are texts; put it in quotes"
    elif fault["type"] == "model_attributes_type":  # one of several kinds
        message = f"a section with its kind, one of {', '.join(known)}, is needed"
    if not keys:  # of the whole, whose message names the keys
        return message
    return f"{where}: {message}" if isinstance(value, dict) else f"{where}: {message}, got {_short.repr(value)}"


def _types_in(annotation: Any) -> set[Any]:
    """All types that an annotation is made of."""
    inner = get_args(annotation)
    return set().union(*map(_types_in, inner)) if inner else {annotation}


def _hint(name: str, known: list[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[near[0]]}'?" if near else f"known: {', '.join(known)}"


_short = Repr()  # of a value of the user's: one line, bounded in length and depth
_short.maxstring = _short.maxother = _short.maxlong = 80


def _place(schema: type[BaseModel], fault: ErrorDetails) -> tuple[list[str], list[str]]:
    """The keys that lead to a fault, as the user wrote them, and the names that are known there."""
    keys: list[str] = []
    kinds: Mapping[str, type[Section]] = {}
    for part in fault["loc"]:
        if part in kinds:  # pydantic names the kind on the way, which is no key
            schema, kinds = kinds[str(part)], {}
            continue
        keys.append(str(part))
        field = schema.model_fields.get(str(part))
        kinds = next((mark.kinds for mark in field.metadata if isinstance(mark, OneOf)), {}) if field else {}
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            schema = field.annotation
    return keys, list(kinds or schema.model_fields)
