"""The OpenAPI document of all services, where no gateway in one process puts it together."""

from pathlib import Path

import orjson
from common.errors import Misconfigured
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/v1/openapi.json"


def of_all_services(file: Path) -> Route:
    """A route that answers with the file. Raises Misconfigured when it is no such document."""
    try:
        body = file.read_bytes()
        if not orjson.loads(body)["openapi"].startswith("3."):
            raise ValueError("another version of OpenAPI")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"BARID_OPENAPI_FILE={file} is not a readable OpenAPI 3 document") from error

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Route(PATH, answer, include_in_schema=False)
