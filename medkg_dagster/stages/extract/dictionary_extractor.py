"""The extractor `dictionary`: names of a vocabulary in the text, and rules for what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from medkg_dagster.stage_api import (
    AnnotationRole,
    Claim,
    CountedItems,
    Document,
    DocumentContext,
    Entity,
    Extraction,
    StageContext,
)
from medkg_dagster.stages.extract.claims import sentence_claims
from medkg_dagster.stages.extract.composites import Part, parts
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.drug_induced import DrugInduced
from medkg_dagster.stages.extract.elements import with_elements
from medkg_dagster.stages.extract.genes import GeneFinder, with_genes
from medkg_dagster.stages.extract.installed import InstalledMatcher, InstalledVocabulary, installed
from medkg_dagster.stages.extract.mentions import Matcher, Mention
from medkg_dagster.stages.extract.negation import Negation
from medkg_dagster.stages.extract.organisms import with_species
from medkg_dagster.stages.extract.pair_features import no_trees
from medkg_dagster.stages.extract.pair_scorer import pair_claims, summary_passages
from medkg_dagster.stages.extract.sentences import Sentence, document_sentences
from medkg_dagster.stages.extract.specific import ORGANISM
from medkg_dagster.stages.extract.study_claims import STUDIES_SOURCE, study_findings
from medkg_dagster.stages.extract.study_evidence import is_stating
from medkg_dagster.stages.extract.study_names import StudyNames, is_no_intervention
from medkg_dagster.stages.extract.terms import (
    Vocabulary,
    fingerprint,
    ground,
    load,
    medicines,
)
from medkg_dagster.stages.extract.whole_document import join, spell_out
from medkg_dagster.vocabulary.categories import DISEASES, GENE, PROTEIN
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.looked_with import INSTALLED, OF_ONES_OWN, SAMPLE, looked_with

_AFTER_CHEMICALS = frozenset({GENE, PROTEIN})
"""The categories of what is called after chemicals."""
_VIRUS = " virus"
"""Behind the disease that a virus is called after: "hepatitis B virus"."""


class DictionaryExtractor:
    """Finds entities and claims."""

    version = "1"

    def __init__(self, parameters: DictionaryParameters) -> None:
        self._parameters = parameters
        self._installed: InstalledVocabulary | None = None

    @cached_property
    def _vocabulary(self) -> Vocabulary | InstalledVocabulary:
        return self._installed or load(self._parameters.vocabulary)

    @cached_property
    def _matcher(self) -> Matcher | InstalledMatcher:
        return self._vocabulary.matcher(self._parameters.min_term_length)

    @cached_property
    def _study_names(self) -> StudyNames:
        return StudyNames(self._vocabulary, self._matcher)

    @cached_property
    def _drug_induced(self) -> DrugInduced:
        return DrugInduced(self._vocabulary)

    @cached_property
    def _genes(self) -> GeneFinder | None:
        return self._installed.gene_finder(self._parameters.min_term_length) if self._installed else None

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        """Return the hash of the vocabulary.

        Raises:
            ConfigError: It cannot be used.
        """
        found = self._find_installed(ctx)
        version = fingerprint(self._parameters.vocabulary) if found is None else found.version
        if not ctx.fingerprints:
            figure, concepts = self._size(found)
            ctx.describe(figure, concepts)
            ctx.describe("vocabulary", self._described(found, figure, concepts))
            ctx.log.info("looking for what is in the vocabulary: %s", ctx.described["vocabulary"])
        return {"vocabulary": version}

    def _size(self, found: InstalledVocabulary | None) -> tuple[str, int]:
        """Return whose concepts are looked for, and how many they are."""
        if found is not None:
            return INSTALLED, found.concepts
        named = self._parameters.vocabulary
        return (SAMPLE if named is None else OF_ONES_OWN), len(load(named).concepts)

    def _described(self, found: InstalledVocabulary | None, figure: str, concepts: int) -> str:
        """Say what is looked with."""
        said = looked_with({figure: concepts})
        which = self._parameters.vocabulary if found is None else found.version
        return f"{said}, {which}" if which else f"{said}"

    def prepare(self, ctx: StageContext) -> None:
        """Open the vocabulary that was installed, where none is named, or read the one that is.

        Raises:
            ConfigError: It cannot be used.
        """
        self._installed = self._find_installed(ctx)
        assert self._matcher is not None

    def _find_installed(self, ctx: StageContext) -> InstalledVocabulary | None:
        """Return the one that the step began with, whichever is in use by now; None where that was a file."""
        if self._parameters.vocabulary is not None:
            return None
        begun_with = ctx.fingerprints.get("vocabulary")
        return None if begun_with == fingerprint(None) else installed(ctx.home, begun_with)

    def concept(self, name: str) -> Concept | None:
        """Return the likeliest concept with this name, in any case."""
        return self._vocabulary.by_name(name)

    def extract(self, ctx: DocumentContext, document: Document) -> Extraction:
        """Return a document's entities, those of structured fields first, then by offset; and its claims."""
        del ctx
        sentences = document_sentences(document)
        registered = study_findings(document, self._study_names, sentences)
        mentioned, stated = self._text(document, sentences)
        if self._parameters.weigh_pairs and document.source != STUDIES_SOURCE:
            passages = summary_passages(document, sentences, mentioned)
            trees = self._installed.tree_numbers if self._installed else no_trees
            stated += list(pair_claims(document, passages, stated, trees))
        claims = registered.claims | {claim.id: claim for claim in stated}
        structured = dict.fromkeys((*self._structured(document), *registered.entities.values()))
        return Extraction(
            (*structured, *self._with_inner(mentioned)), CountedItems(claims.values(), registered.counts)
        )

    def _with_inner(self, mentioned: Iterable[Entity]) -> Iterator[Entity]:
        """Yield mentions, and behind each the chemicals or the disease that its name names.

        No claim is about these: what blocks the NMDA receptor does nothing to NMDA.
        """
        for whole in mentioned:
            yield whole
            for one in self._within(whole):
                start, end = (whole.start or 0) + one.start, (whole.start or 0) + one.end
                concept = one.concept
                named = {"curie": concept.curie, "name": concept.name, "category": concept.category}
                surface = whole.surface[one.start : one.end]
                yield whole.model_copy(update={**named, "start": start, "end": end, "surface": surface})

    def _within(self, whole: Entity) -> Iterable[Mention]:
        if whole.category in _AFTER_CHEMICALS and isinstance(self._matcher, InstalledMatcher):
            return self._matcher.chemicals_within(whole.surface)
        if whole.category == ORGANISM and whole.surface.endswith(_VIRUS):
            end = len(whole.surface) - len(_VIRUS)
            disease = self._vocabulary.by_name(whole.surface[:end])
            if disease is not None and disease.category in DISEASES:
                return (Mention(0, end, disease),)
        return ()

    def _structured(self, document: Document) -> Iterator[Entity]:
        listed = medicines(document)
        for note in document.annotations:
            found = ground(document.id, note, self._vocabulary, listed)
            if found is not None and not (
                note.role is AnnotationRole.INTERVENTION and is_no_intervention(found)
            ):
                yield found

    def _text(self, document: Document, sentences: Sequence[Sentence]) -> tuple[list[Entity], list[Claim]]:
        entities: list[Entity] = []
        claims: list[Claim] = []
        texts = [document.text[place.start : place.end] for place in sentences]
        genes = self._genes.find(texts) if self._genes else [()] * len(texts)
        mentioned = [
            join(text, with_genes(self._matcher.find(text), named))
            for text, named in zip(texts, genes, strict=True)
        ]
        mentioned = with_species(texts, with_elements(texts, mentioned, self._vocabulary))
        if self._parameters.abbreviations:
            mentioned = spell_out(texts, mentioned)
        mentioned = self._drug_induced.read(texts, mentioned)
        for place, text, mentions in zip(sentences, texts, mentioned, strict=True):
            if not mentions:
                continue
            negation = Negation(text)
            found = list(self._entities(document, place, negation, parts(text, mentions, self._vocabulary)))
            entities += (whole for _, whole in found)
            if is_stating(document, place):
                said = sentence_claims(document, place, [part for part, _ in found], negation)
                claims += [claim for claim in said if self._parameters.negation or not claim.negated]
        return entities, claims

    def _entities(
        self, document: Document, place: Sentence, negation: Negation, parts: Iterable[Part]
    ) -> Iterator[tuple[Entity, Entity]]:
        """Yield of each mention the entity at what is its own, and at all of what it shares with others."""
        for part in parts:
            mention = part.mention
            start, end = place.start + mention.start, place.start + mention.end
            own = Entity(
                document_id=document.id,
                curie=mention.concept.curie,
                name=mention.concept.name,
                category=mention.concept.category,
                surface=document.text[start:end],
                start=start,
                end=end,
                method="dictionary",
                extractor=f"dictionary {self.version}",
                negated=self._parameters.negation and negation.covers(mention.start, mention.end),
            )
            start, end = place.start + part.start, place.start + part.end
            is_all = (own.start, own.end) == (start, end)
            whole = {"start": start, "end": end, "surface": document.text[start:end]}
            yield own, own if is_all else own.model_copy(update=whole)
