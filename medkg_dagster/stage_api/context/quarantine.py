"""A document that is set aside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuarantinedDocument:
    """A document that a stage could not use.

    Attributes:
        document_id: The document's or payload's id.
        stage: The stage that refused it.
        error_class: The exception's class name.
        message: What was wrong.
        details: The traceback of an unexpected error; empty for one raised on purpose.
    """

    document_id: str
    stage: str
    error_class: str
    message: str
    details: str = ""
