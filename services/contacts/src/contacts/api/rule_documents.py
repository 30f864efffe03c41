"""A segment's rule in a request: described by its typed tree, read by `segment_rules`, whose errors say more."""

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contacts.domain.segment_rules import RULE


class _Described:
    """Any JSON value for the validator, the typed tree for the API's description."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(RULE.core_schema)


RuleDocument = Annotated[Any, _Described]
