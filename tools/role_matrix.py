"""Prints the role × route matrix as the code has it, to compare with tests/contract/role_matrix.json by eye.

python tools/role_matrix.py > tests/contract/role_matrix.json   once the difference was reviewed
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common.web.openapi import operations
from common.web.roles import ROLES

from tools.docs import SERVICES, app


def matrix() -> dict[str, list[str]]:
    """Operation id → the roles that may call it."""
    found = {}
    for service in SERVICES:
        made = app(service)
        for _path, _method, operation in operations(made.openapi() if made else {}):
            if operation["security"]:
                found[operation["operationId"]] = [r for r, scopes in ROLES.items() if operation["x-scope"] in scopes]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    lines = [f"  {json.dumps(name)}: {json.dumps(roles)}" for name, roles in matrix().items()]
    print("{\n" + ",\n".join(lines) + "\n}")
