"""The work of the extractor `llm`: asks about passages, and keeps of the answers what the text bears out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medkg_dagster.errors import PermanentSourceError, counted
from medkg_dagster.io.kept_answers import KeptAnswers
from medkg_dagster.stage_api import (
    Claim,
    CountedItems,
    Document,
    DocumentContext,
    Entity,
    Extraction,
    StageContext,
    Stopwatch,
    claim_id,
)
from medkg_dagster.stages.extract.claims import TEXT_SOURCE
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.extract.llm import LLM, LlmParameters
from medkg_dagster.stages.extract.llm.questions import INSTRUCTIONS, SCHEMA, Passage, passages, request_body
from medkg_dagster.stages.extract.llm.service import (
    FINAL,
    Answer,
    ChatService,
    Unanswered,
    read_claim,
    read_claims,
)
from medkg_dagster.stages.extract.llm.statements import Borne, Reason, bear_out
from medkg_dagster.stages.extract.sentences import Sentence, SentencesAround, document_sentences

_RULES = "1"
"""Raised whenever other claims are kept of the same answers."""

_ASKED = 2
"""So often a passage is asked about while the answer is none of the schema."""
_PATIENCE = 5
"""After so many passages without an answer of the schema, and none with one, no more are asked about."""


@dataclass(slots=True)
class _Kept:
    """What is kept of a document so far, and what was counted of it."""

    entities: dict[tuple[str, int | None], Entity] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


class LlmExtractor:
    """Asks a model about each passage of a document.

    Args:
        parameters: The service, the model, and how much it is given at once.
        home: The folder for all data, where answers are kept.
    """

    def __init__(self, parameters: LlmParameters, home: Path) -> None:
        self._parameters = parameters
        self._url = parameters.base_url.rstrip("/") + "/chat/completions"
        self._answers = KeptAnswers(home)
        self._names = DictionaryExtractor(
            DictionaryParameters(vocabulary=parameters.vocabulary, weigh_pairs=False)
        )
        self._service: ChatService | None = None
        self._answered = 0
        self._unanswered: list[Unanswered] = []

    @property
    def version(self) -> str:
        """The rules, and the model."""
        asked = hashlib.sha256(f"{INSTRUCTIONS}{json.dumps(SCHEMA)}".encode()).hexdigest()[:8]
        return f"{_RULES}.{asked} {self._parameters.model}"

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        """Return the hash of the vocabulary, see `DictionaryExtractor`."""
        return self._names.fingerprints(ctx)

    def prepare(self, ctx: StageContext) -> None:
        """Open the vocabulary, and read the key.

        Raises:
            ConfigError: One of them cannot be had.
        """
        given = self._parameters
        self._names.prepare(ctx)
        self._service = ChatService(self._url, given.api_key, given.timeout_seconds, given.max_attempts)

    def extract(self, ctx: DocumentContext, document: Document) -> Extraction:
        """Return the claims of a document that its text bears out, and the mentions that they are about.

        Raises:
            SourceError: The service is away; what was answered is kept.
            PermanentSourceError: It refuses, or answers nothing by the schema.
        """
        grounding = _Grounding(self._names, document, self._names.extract(ctx, document).entities)
        kept, around, watch = _Kept(), SentencesAround(document), Stopwatch()
        for passage in self._passages(kept, document):
            if watch.seconds > self._parameters.max_seconds:
                kept.counts["passages left for later"] += 1
                ctx.leave_open()
                continue
            for written in self._claims_of(ctx, kept, document, passage):
                kept.counts["claims proposed"] += 1
                proposed = read_claim(written)
                found: Borne | Reason = Reason.MALFORMED
                if proposed is not None:
                    found = bear_out(document, passage.start, passage.end, proposed, grounding.find)
                if isinstance(found, Borne):
                    found = self._keep(kept, document, found, around) or found
                kept.counts[f"rejected: {found}" if isinstance(found, Reason) else "claims kept"] += 1
        entities = sorted(kept.entities.values(), key=lambda entity: entity.start or 0)
        return Extraction(tuple(entities), CountedItems(kept.claims.values(), kept.counts))

    def _passages(self, kept: _Kept, document: Document) -> Sequence[Passage]:
        most = self._parameters.passage_characters
        sentences = document_sentences(document)
        short = [one for one in sentences if one.end - one.start <= most]
        found = list(passages(short, most))
        asked = found[: self._parameters.max_passages]
        for name, number in (
            ("passages", len(asked)),
            ("passages left out", len(found) - len(asked)),
            ("sentences left out", len(sentences) - len(short)),
        ):
            if number:
                kept.counts[name] += number
        return asked

    def _claims_of(
        self, ctx: DocumentContext, kept: _Kept, document: Document, passage: Passage
    ) -> Iterator[object]:
        """Yield what the model claims of a passage, or of its halves where the answer is too long."""
        found = self._ask(ctx, document, passage)
        if found is Unanswered.TRUNCATED and (halves := passage.halves()):
            for half in halves:
                yield from self._claims_of(ctx, kept, document, half)
        elif isinstance(found, Unanswered):
            kept.counts[f"unanswered: {found}"] += 1
            if found not in FINAL:
                ctx.leave_open()
            self._judge(found)
        else:
            self._answered += 1
            yield from found

    def _judge(self, found: Unanswered) -> None:
        """Stop where nothing suggests that the model can answer by the schema at all."""
        if self._answered or found in FINAL:
            return
        self._unanswered.append(found)
        if len(self._unanswered) >= _PATIENCE:
            raise PermanentSourceError(
                f"{self._url}: of {counted(len(self._unanswered), 'passage')} none was answered by the "
                f"JSON schema ({', '.join(sorted(set(self._unanswered)))}); check that the model "
                f"{self._parameters.model!r} and the service support response_format json_schema"
            )

    def _ask(
        self, ctx: DocumentContext, document: Document, passage: Passage
    ) -> Sequence[object] | Unanswered:
        text = document.text[passage.start : passage.end]
        body = request_body(self._parameters.model, self._parameters.options, document.title, text)
        known = self._known(body)
        if known is not None:
            ctx.spend("answers_reused", 1)
            return read_claims(known)
        found: Sequence[object] | Unanswered = Unanswered.EMPTY
        for _ in range(_ASKED):
            answer = self._request(ctx, body)
            if isinstance(answer, Unanswered):
                return answer
            found = read_claims(answer)
            if not isinstance(found, Unanswered) or found in FINAL:
                self._answers.keep(self._url, body, answer.model_dump_json().encode())
                break
        return found

    def _known(self, body: Mapping[str, object]) -> Answer | None:
        content = self._answers.find(self._url, body)
        try:
            return None if content is None else Answer.model_validate_json(content)
        except ValueError:
            # A damaged file is written anew.
            return None

    def _request(self, ctx: DocumentContext, body: Mapping[str, object]) -> Answer | Unanswered:
        assert self._service is not None
        watch = Stopwatch()
        try:
            answer = self._service.ask(ctx.calls, body)
        finally:
            ctx.spend("requests", 1)
            ctx.spend("service_seconds", watch.seconds)
        if isinstance(answer, Answer):
            ctx.spend("prompt_tokens", answer.prompt_tokens)
            ctx.spend("completion_tokens", answer.completion_tokens)
        return answer

    def _keep(self, kept: _Kept, document: Document, borne: Borne, around: SentencesAround) -> Reason | None:
        place = around.find(borne.start, borne.end) or Sentence(borne.start, borne.end, "")
        proposed = borne.proposed
        name = claim_id(
            document,
            extractor=LLM.name,
            subject=borne.subject.curie,
            predicate=borne.relates.predicate,
            object_=borne.object.curie,
            negated=proposed.negated,
            start=place.start,
            end=place.end,
            apart=(self._parameters.model, *borne.relates.qualifiers.values()),
        )
        if name in kept.claims:
            return Reason.REPEATED
        for entity in (borne.subject, borne.object):
            kept.entities.setdefault((entity.curie, entity.start), entity)
        kept.claims[name] = Claim(
            id=name,
            document_id=document.id,
            document_hash=document.content_hash,
            subject=borne.subject.curie,
            predicate=borne.relates.predicate,
            object=borne.object.curie,
            negated=proposed.negated,
            sentence=document.text[place.start : place.end],
            start=place.start,
            end=place.end,
            method="llm",
            primary_knowledge_source=TEXT_SOURCE,
            knowledge_level="not_provided",
            agent_type="text_mining_agent",
            qualifiers=dict(borne.relates.qualifiers),
            certainty=proposed.certainty,
            background=proposed.background,
        )
        return None


class _Grounding:
    """Finds concepts of names in a document: as the dictionary reads them there, else by the name alone.

    Args:
        names: The dictionary.
        document: The document.
        mentions: What the dictionary finds in it.
    """

    def __init__(self, names: DictionaryExtractor, document: Document, mentions: Sequence[Entity]) -> None:
        self._names = names
        self._document = document
        self._at = {(entity.start, entity.end): entity for entity in mentions if entity.start is not None}

    def find(self, surface: str, start: int, end: int) -> Entity | None:
        """Return the mention that stands at a place; None where the vocabulary has no such name."""
        found = self._at.get((start, end))
        if found is not None:
            return found.model_copy(update={"method": "llm", "extractor": ""})
        concept = self._names.concept(surface)
        if concept is None:
            return None
        return Entity(
            document_id=self._document.id,
            curie=concept.curie,
            name=concept.name,
            category=concept.category,
            surface=surface,
            start=start,
            end=end,
            method="llm",
        )
