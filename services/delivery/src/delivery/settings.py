"""Delivery's settings."""

import re
from ipaddress import ip_address

from common.egress import Network, networks
from common.errors import Misconfigured
from common.settings import SealingSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


class Settings(SealingSettings):
    """Shared settings, and what mailer and tracker need."""

    model_config = SettingsConfigDict(env_prefix="DELIVERY_")

    smtp_url: SecretStr = Field(
        SecretStr("smtp://127.0.0.1:1025"),
        validation_alias="BARID_SMTP_URL",
        description="smtp://user:password@host:port (STARTTLS when offered), or smtps:// (TLS from the start)",
    )
    send_window: int = Field(
        64, ge=1, le=4096, validation_alias="BARID_SEND_WINDOW", description="messages one mailer has under intents"
    )
    smtp_connections: int = Field(8, ge=1, le=256, validation_alias="BARID_SMTP_CONNECTIONS")
    smtp_messages_per_connection: int = Field(200, ge=1, validation_alias="BARID_SMTP_MESSAGES_PER_CONNECTION")
    smtp_dot_timeout_s: float = Field(
        600.0, ge=1, validation_alias="BARID_SMTP_DOT_TIMEOUT_S", description="wait after the final dot (RFC 5321: 600)"
    )
    retry_first_s: float = Field(
        60.0, gt=0, validation_alias="BARID_RETRY_FIRST_S", description="wait after the first temporary refusal"
    )
    bounce_address: str | None = Field(
        None,
        validation_alias="BARID_BOUNCE_ADDRESS",
        description="where bounces go, such as b@mail.example.com: each message gets an envelope sender of its own,"
        " b+<token>@mail.example.com; without it, the sender's address",
    )
    reply_address: str | None = Field(
        None,
        validation_alias="BARID_REPLY_ADDRESS",
        description="where people's answers go first, such as r@mail.example.com: each message gets a Reply-To of its"
        " own, and answers go on to the sender's; without it they go there at once and nobody is told of them",
    )
    dkim_keys: str | None = Field(
        None,
        validation_alias="BARID_DKIM_KEYS",
        description="folder of private keys (RSA, and Ed25519 beside it), <selector>._domainkey.<domain>.pem each",
    )
    dns_resolvers: str = Field(
        "",
        validation_alias="BARID_DNS_RESOLVERS",
        description="<address> or <address>:<port>, by commas: who is asked about sending domains, and about"
        " recipients' mail servers by direct routes; else the system's",
    )
    dns_timeout_s: float = Field(5.0, gt=0, le=30, validation_alias="BARID_DNS_TIMEOUT_S")
    spf: str = Field(
        "",
        validation_alias="BARID_SPF",
        description="what sending domains' SPF must have, such as include:spf.relay.example; else BARID_SENDING_IPS",
    )
    sending_ips: str = Field(
        "", validation_alias="BARID_SENDING_IPS", description="addresses that mail leaves from, by commas, if known"
    )
    smtp_limits: str = Field(
        "",
        validation_alias="BARID_SMTP_LIMITS",
        description="limits of BARID_SMTP_URL that all mailers keep together, by provider, * for the rest: JSON such as"
        ' {"gmail": {"per_second": 20, "connections": 10, "messages_per_connection": 50}}',
    )
    route_networks: str = Field(
        "",
        validation_alias="BARID_ROUTE_NETWORKS",
        description="private networks in which the hosts of workspaces' routes may be, by commas: 10.0.0.0/8",
    )
    direct_to_mx: bool = Field(
        False,
        validation_alias="BARID_DIRECT_TO_MX",
        description="whether workspaces may have routes that go to the mail servers of recipients' domains themselves",
    )
    ehlo_name: str | None = Field(
        None,
        validation_alias="BARID_EHLO_NAME",
        description="what mailers call themselves there: the name in the DNS of the address they send from (PTR and A)",
    )
    lmtp_host: str = Field("127.0.0.1", validation_alias="BARID_LMTP_HOST", description="where BARID_LMTP_PORT is")
    lmtp_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        validation_alias="BARID_LMTP_PORT",
        description="LMTP for a mail server on this network that hands over what comes back; no listener without it",
    )
    inbox_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="BARID_INBOX_URL",
        description="a mailbox to read what comes back from: imaps://user:password@host/folder, or maildir:/path",
    )
    inbox_every_s: float = Field(
        30.0, ge=0.1, le=3600, validation_alias="BARID_INBOX_EVERY_S", description="how often it is looked into"
    )
    tracker_host: str = "127.0.0.1"
    tracker_port: int = 8090

    def spf_mechanisms(self) -> tuple[str, ...]:
        """The mechanisms of BARID_SPF."""
        return tuple(self.spf.split())

    def sending_addresses(self) -> tuple[str, ...]:
        """The addresses of BARID_SENDING_IPS. Raises Misconfigured."""
        given = [one.strip() for one in self.sending_ips.split(",") if one.strip()]
        try:
            return tuple(str(ip_address(one)) for one in given)
        except ValueError as error:
            raise Misconfigured(f"BARID_SENDING_IPS: {error}") from error

    def bounce_domain(self) -> str | None:
        """The domain of BARID_BOUNCE_ADDRESS."""
        return self.bounce_address.rpartition("@")[2].lower() if self.bounce_address else None

    def route_network_list(self) -> tuple[Network, ...]:
        """The private networks in which hosts of routes may be. Raises Misconfigured."""
        return networks("BARID_ROUTE_NETWORKS", self.route_networks)

    def direct_name(self) -> str | None:
        """What mailers call themselves to recipients' servers; None: nothing goes there. Raises Misconfigured."""
        if not self.direct_to_mx:
            return None
        if not _HOST_NAME.fullmatch(self.ehlo_name or ""):
            raise Misconfigured(
                "BARID_EHLO_NAME must be the full name of the address that mail leaves from, such as mx1.example.com,"
                " where BARID_DIRECT_TO_MX is on"
            )
        return self.ehlo_name
