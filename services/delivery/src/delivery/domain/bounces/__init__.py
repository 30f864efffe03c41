"""What came back by mail: bounces, complaints, automatic answers. Pure, total on any bytes, bounded."""

from delivery.domain.bounces.classify import Judgement, classify_mail
from delivery.domain.bounces.mime import MAX_BYTES

__all__ = ["MAX_BYTES", "Judgement", "classify_mail"]
