"""Options that say which claims are meant, the same for all commands that show or write claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medkg_dagster.query import ClaimFilter

_OPTIONS = (
    click.option("--predicate", help="Only this predicate, such as `treats` or `biolink:treats`."),
    click.option("--category", help="Only with a node of this category at either end, such as `Disease`."),
    click.option("--source", help="Only what this source states or has the document of, such as `pubmed`."),
    click.option("--job", help="Only of documents this job asked for last: `job_id` or `pipeline/job_id`."),
    click.option("--status", help="Only what documents hold so: `asserted`, `possible` or `background`."),
    click.option("--polarity", help="Only what is `affirmed`, or only what is `denied`."),
)


def claim_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, to be handed to `which_claims`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def which_claims(chosen: dict[str, str | None], *, mentions: bool) -> ClaimFilter:
    """Return what the options mean.

    Args:
        chosen: The options.
        mentions: Whether edges are meant, too, that only say that a document mentions a concept.
    """
    from medkg_dagster.query import ClaimFilter

    return ClaimFilter(**chosen, mentions=mentions)
