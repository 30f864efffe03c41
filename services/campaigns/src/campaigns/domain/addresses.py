"""What an address must be to stand in a mail's header."""

from common.contracts.addresses import InvalidAddress, a_label, joinerless, normalise_address, u_label
from email_validator import EmailNotValidError, validate_email

from campaigns.errors import InvalidEmail


def valid_address(address: str, field: str) -> str:
    """The address as it will be written. Raises InvalidEmail, naming the field.

    The case of the local part is kept; what CR or LF it holds is refused before any library sees it.
    """
    try:
        normalise_address(address)
        local, _, domain = address.strip().rpartition("@")
        judged = joinerless(domain)
        seen = validate_email(
            f"{local}@{judged}", check_deliverability=False, allow_smtputf8=True, test_environment=True
        )
        return seen.normalized if judged == domain else f"{seen.local_part}@{u_label(a_label(domain))}"
    except (InvalidAddress, EmailNotValidError) as error:
        raise InvalidEmail(
            f"{field} is not an address: {error}",
            mend="Give one address, such as news@example.org, without a name and without line breaks.",
            field=field,
        ) from error
