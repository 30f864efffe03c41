from typing import Any

import pytest
from common.web.openapi import merge, operations


def document(service: str, path: str, operation_id: str, **schemas: Any) -> dict[str, Any]:
    answer = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
    return {
        "info": {"title": service, "version": "1", "x-service": service},
        "paths": {path: {"get": {"operationId": operation_id, "responses": {"200": answer}}}},
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http"}}},
    }


PAGE = {"properties": {"items": {"items": {"$ref": "#/components/schemas/Member"}}}}
ONE = document("contacts", "/v1/lists", "list_lists", Page=PAGE, Member={"type": "string"}, Same={"type": "null"})
TWO = document("campaigns", "/v1/members", "list_members", Page=PAGE, Member={"type": "object"}, Same={"type": "null"})


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].split("/")[-1]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_paths_and_schemas_come_together() -> None:
    merged = merge([ONE, TWO])

    assert [path for path, _, _ in operations(merged)] == ["/v1/lists", "/v1/members"]
    assert merged["openapi"].startswith("3.1")


def test_a_name_that_means_two_things_is_told_apart_with_all_that_use_it() -> None:
    merged = merge([ONE, TWO])
    schemas = merged["components"]["schemas"]

    assert set(schemas) == {"ContactsMember", "CampaignsMember", "ContactsPage", "CampaignsPage", "Same"}
    assert references(schemas["ContactsPage"]) == {"ContactsMember"}
    assert references(merged["paths"]["/v1/members"]) == {"CampaignsPage"}
    assert references(merged) <= set(schemas)


def test_the_order_of_the_services_does_not_matter() -> None:
    assert merge([ONE, TWO]) == merge([TWO, ONE])


def test_one_path_or_operation_id_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two services serve /v1/lists"):
        merge([ONE, document("delivery", "/v1/lists", "list_all")])
    with pytest.raises(ValueError, match="'list_lists' is used twice"):
        merge([ONE, document("delivery", "/v1/all", "list_lists")])
