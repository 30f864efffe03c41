"""The manifests of both overlays: rendered as they are, every check finds nothing."""

import pytest

from tests.contract.deploy.k8s import data, network, pods, scaling, schemas, settings
from tests.contract.deploy.k8s.documents import OVERLAYS, documents

# The schemas are fetched and made once per machine, in about a minute (`make k8s-schemas`).
pytestmark = pytest.mark.timeout(600)

CHECKS = (*pods.CHECKS, *settings.CHECKS, *scaling.CHECKS, *network.CHECKS, *data.CHECKS, *schemas.CHECKS)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_overlay_is_right(overlay, check):
    assert list(check(documents(overlay))) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_triggers_are_those_of_the_published_scalers(overlay):
    assert list(scaling.triggers(documents(overlay), schemas.published())) == []
