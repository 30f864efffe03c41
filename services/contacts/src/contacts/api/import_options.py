"""The options that come beside a file: JSON in a form field."""

from common.errors import Invalid
from common.web.texts import require_storable
from pydantic import ValidationError

from contacts.domain.import_options import ImportOptions


def read_options(text: str) -> ImportOptions:
    """What the sender wants. Raises Invalid."""
    require_storable(text.encode(), at="/options")
    try:
        return ImportOptions.model_validate_json(text)
    except ValidationError as error:
        problem = Invalid("The options are not acceptable; see `errors`", mend="Send options as JSON in a form field")
        problem.errors = [  # type: ignore[attr-defined]
            {"where": "/options/" + "/".join(map(str, e["loc"])), "code": e["type"], "detail": e["msg"]}
            for e in error.errors()
        ]
        raise problem from error
