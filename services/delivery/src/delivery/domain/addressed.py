"""What the ledger keeps of a recipient's address."""

from dataclasses import dataclass
from uuid import UUID

from common.contracts.addresses import InvalidAddress, address_hash, normalise_address

from delivery.domain.providers import OTHER, provider_of


@dataclass(frozen=True, slots=True)
class Addressed:
    """What the ledger keeps of an address; without hashes it is none that mail can go to."""

    address_hash: bytes | None
    domain_hash: bytes | None
    provider: str


def addressed(pepper: bytes, workspace_id: UUID, email: str) -> Addressed:
    """Hashes and provider of an address."""
    try:
        normalised = normalise_address(email)
    except InvalidAddress:
        return Addressed(None, None, OTHER)
    domain = normalised.rpartition("@")[2]
    return Addressed(
        bytes.fromhex(address_hash(pepper, workspace_id, normalised)),
        bytes.fromhex(address_hash(pepper, workspace_id, domain)),
        provider_of(domain),
    )
