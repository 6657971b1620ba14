"""The JSON schema of a suite file, for editors: made from the classes and catalogues that a suite is checked with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from bench.attacks.catalogue import ATTACKS
from bench.catalogue import IMPORT_NAME, Component
from bench.data.catalogue import DATA, Imported
from bench.defenses.catalogue import DEFENSES
from bench.metrics.catalogue import METRICS
from bench.models.catalogue import MODELS
from bench.models.packaged import PACKAGED
from bench.suite import schema
from bench.suite.names import REAL_DATA
from bench.training.catalogue import RECIPES

Schema = dict[str, Any]

_IMPORTED: Schema = {
    "type": "string",
    "pattern": f"^{IMPORT_NAME.pattern}$",
    "description": "code of yours, as package.module:callable",
}
_NAMES: Schema = {"pattern": f"^{schema.NAME}$", "not": {"const": REAL_DATA}}
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_AGAINST = {"robustness": "classifier", "transfer": "classifier", "reconstruction": "autoencoder"}


def value_schema(annotation: Any, metadata: Iterable[Any] = ()) -> Schema:
    """The schema of a value of a type, with the bounds that the type's metadata states.

    >>> value_schema(list[int])
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        return value_schema(annotation, [*inner, *metadata])
    metadata = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    stated = next((item.json_schema for item in metadata if isinstance(item, WithJsonSchema)), None)
    if stated is not None:
        return {**stated, "anyOf": [_bounded(branch, metadata) for branch in stated["anyOf"]]}
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        branches = [value_schema(part, () if part is NoneType else metadata) for part in parts]
        return {"anyOf": branches}
    if origin is Literal:
        return {"const": parts[0]} if len(parts) == 1 else {"enum": list(parts)}
    if origin is list:
        return _bounded({"type": "array", "items": value_schema(parts[0])}, metadata)
    if origin is tuple:
        entries = [value_schema(part) for part in parts]
        return {"type": "array", "prefixItems": entries, "minItems": len(parts), "maxItems": len(parts)}
    if origin is dict:
        return {"type": "object"}
    if annotation is schema.Use:
        return {"anyOf": [{"type": "string"}, {"type": "object"}]}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return block_schema(annotation)
    return _bounded({"type": _TYPES[annotation]}, metadata)


def _bounded(base: Schema, metadata: Iterable[Any]) -> Schema:
    """A schema with the bounds that apply to its type."""
    result, kind = dict(base), base.get("type")
    for item in metadata:
        for attribute, keyword in _BOUNDS.items():
            if kind in ("number", "integer") and getattr(item, attribute, None) is not None:
                result[keyword] = getattr(item, attribute)
        if getattr(item, "min_length", None) is not None:
            result["minItems" if kind == "array" else "minLength"] = item.min_length
        if getattr(item, "pattern", None) is not None:
            result["pattern"] = item.pattern
    return result


def block_schema(model: type[BaseModel], **instead: Schema | None) -> Schema:
    """The schema of a block; `instead` replaces the schemas of some keys, or leaves a key out (None)."""
    properties: dict[str, Schema] = {}
    for name, field in model.model_fields.items():
        replaced = instead.get(name, {})
        if replaced is None:
            continue
        value = replaced or value_schema(field.annotation, field.metadata)
        properties[name] = {"description": field.description, **value} if field.description else value
        if not field.is_required():
            properties[name] = {**properties[name], "default": default(field)}
    required = [name for name, field in model.model_fields.items() if field.is_required() and name in properties]
    result: Schema = {"type": "object", "description": (model.__doc__ or "").strip().splitlines()[0]}
    return {**result, "properties": properties, "required": required, "additionalProperties": False}


def default(field: FieldInfo) -> Any:
    """A default as it would be written in a suite."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [item.name if isinstance(item, schema.Use) else item for item in value]
    return list(value) if isinstance(value, tuple) else value


def suite_schema() -> Schema:
    """The JSON schema (draft 2020-12) of a whole suite file."""
    kinds = {name: _evaluation(name, model) for name, model in schema.EVALUATIONS.items()}
    model_kinds = get_args(schema.Model.model_fields["kind"].annotation)
    figure = {"anyOf": [{"required": [key]} for key in ("min", "max", "equals", "model_verdict", "row_verdict")]}
    header = block_schema(
        schema.Header,
        data=_named(_chosen("source", _sources()), minProperties=1),
        models=_named(_chosen("kind", {kind: _model(kind) for kind in model_kinds})),
        evaluations=_named(_chosen("kind", kinds)),
        expect={"type": "array", "items": {**block_schema(schema.Expectation), **figure}},
        quoted={"type": "array", "items": block_schema(schema.Quote)},
    )
    groups = {"attack": ATTACKS, "metric": METRICS, "architecture": MODELS, "defense": DEFENSES}
    options = {_key(noun, entry): _options(entry) for noun, group in groups.items() for entry in group.values()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A suite of bench",
        **header,
        "$defs": options,
    }


def _key(noun: str, entry: Component) -> str:
    return f"{noun}-{entry.name}"


def _options(entry: Component) -> Schema:
    return {**block_schema(entry.options), "description": f"{entry.line} Source: {entry.source}."}


def _named(block: Schema, **more: Any) -> Schema:
    """A section of named blocks."""
    return {"type": "object", "propertyNames": _NAMES, "additionalProperties": block, **more}


def _chosen(key: str, cases: Mapping[str, Schema]) -> Schema:
    """A block whose other keys depend on the value of one key; an empty case name stands for an import name."""
    values: list[Schema] = [{"enum": [name for name in cases if name]}]
    if "" in cases:
        values.append(_IMPORTED)
    tests = []
    for name, case in cases.items():
        value = {"const": name} if name else _IMPORTED
        then = {**case, "properties": {key: value, **{**case["properties"], key: value}}}
        tests.append({"if": {"properties": {key: value}, "required": [key]}, "then": then})
    return {"type": "object", "required": [key], "properties": {key: {"anyOf": values}}, "allOf": tests}


def _sources() -> dict[str, Schema]:
    return {**{entry.name: _options(entry) for entry in DATA.values()}, "": block_schema(Imported)}


def _use(noun: str, entries: Iterable[Component]) -> Schema:
    """One use of a component: its name, or its name with options and perhaps a label."""
    entries = list(entries)
    named = {entry.name: {"anyOf": [{"$ref": f"#/$defs/{_key(noun, entry)}"}, {"type": "null"}]} for entry in entries}
    label = {"type": "string", "pattern": f"^{schema.NAME}$"}
    ours: Schema = {
        "type": "object",
        "properties": {**named, "as": label},
        "additionalProperties": False,
        **_beside(["as"]),
    }
    yours: Schema = {
        "type": "object",
        "properties": {"as": label, "uses": {"type": "array", "items": {"type": "string", "minLength": 1}}},
        "patternProperties": {_IMPORTED["pattern"]: {"type": ["object", "null"]}},
        "additionalProperties": False,
        **_beside(["as", "uses"]),
    }
    return {"anyOf": [{"enum": list(named)}, _IMPORTED, ours, yours]}


def _beside(keys: list[str]) -> Schema:
    """One further key beside some that may be there."""
    subsets = [subset for count in range(len(keys) + 1) for subset in itertools.combinations(keys, count)]
    cases = []
    for present in subsets:
        others = [{"required": [key]} for key in keys if key not in present]
        given: Schema = {"required": list(present), **({"not": {"anyOf": others}} if others else {})}
        cases.append({"if": given, "then": {"minProperties": len(present) + 1, "maxProperties": len(present) + 1}})
    return {"allOf": cases}


def _uses(noun: str, entries: Iterable[Component]) -> Schema:
    return {"type": "array", "items": _use(noun, entries), "minItems": 1}


def _evaluation(kind: str, model: type[schema.AnyEvaluation]) -> Schema:
    """The schema of an evaluation of one kind."""
    attacks = [entry for entry in ATTACKS.values() if entry.traits["against"] == _AGAINST.get(kind)]
    metrics = [entry for entry in METRICS.values() if kind in entry.traits["for"]]
    result = block_schema(model, attacks=_uses("attack", attacks), metrics=_uses("metric", metrics))
    if "threat" in result["properties"]:
        threat = result["properties"]["threat"]
        epsilon = threat["properties"]["epsilon"]
        one_or_many = {"description": epsilon["description"], "anyOf": [epsilon["items"], epsilon]}
        result["properties"]["threat"] = {**threat, "properties": {**threat["properties"], "epsilon": one_or_many}}
    return result


def _model(kind: str) -> Schema:
    """The schema of a model of one kind."""
    recipes: dict[str, Schema] = {}
    for entry in (entry for entry in RECIPES.values() if entry.traits["kind"] == kind):
        common, own = block_schema(schema.Training), _options(entry)
        properties = {**common["properties"], **own["properties"]}
        recipes[entry.name] = {**own, "properties": properties, "required": [*common["required"], *own["required"]]}
    architectures = [entry for entry in MODELS.values() if entry.traits["kind"] == kind]
    instead: dict[str, Schema | None] = {
        "arch": _use("architecture", architectures),
        "train": _chosen("recipe", recipes) if recipes else None,
        "load": _IMPORTED,
        "defenses": {"type": "array", "items": _use("defense", DEFENSES.values())} if kind == "classifier" else None,
    }
    block = block_schema(schema.Model, **instead, **({} if kind == "generator" else {"samples": None}))
    ways = [way for way in ("arch", "load", "samples") if way in block["properties"]]
    block["oneOf"] = [{"required": [way]} for way in ways]
    if all(entry.name in PACKAGED for entry in architectures):
        return block
    return {**block, "dependentSchemas": {"arch": {"oneOf": [{"required": ["train"]}, {"required": ["weights"]}]}}}
