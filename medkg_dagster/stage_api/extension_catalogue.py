"""The installed extensions that a deployment lets in, imported one by one when they are chosen."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationInfo

from medkg_dagster.errors import ConfigError, PluginTimeoutError, Problem, did_you_mean
from medkg_dagster.plugins import (
    Choice,
    InstalledEntryPoints,
    LoadGuard,
    Origin,
    PluginPolicy,
    choose_offer,
)
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.plugins.loading import error_text, load_target
from medkg_dagster.stage_api.extensions import Embedder, Extension, ExtensionKind
from medkg_dagster.stage_api.secrets import secret_fields

CONTEXT_KEY = "extensions"

Offer = tuple[Origin, EntryPoint]


class ExtensionCatalogue:
    """Extensions by kind and name; nothing is imported before it is asked for.

    Args:
        policy: What is let in; everything by default.
        installed: The installed entry points; looked for by default.
    """

    def __init__(
        self,
        policy: PluginPolicy | None = None,
        installed: InstalledEntryPoints | None = None,
    ) -> None:
        self._policy = policy or PluginPolicy()
        self._installed = installed or InstalledEntryPoints()
        self._offers: dict[ExtensionKind, dict[str, list[Offer]]] = {}
        self._loaded: dict[tuple[ExtensionKind, str], Extension] = {}

    def names(self, kind: ExtensionKind) -> tuple[str, ...]:
        """Return the sorted names of the extensions of a kind that are let in."""
        return tuple(sorted(name for name, offers in self._of(kind).items() if self._let_in(offers)))

    def find(self, kind: ExtensionKind, name: str) -> Extension:
        """Import one extension by name.

        Args:
            kind: What is wanted.
            name: The name written in YAML.

        Raises:
            ConfigError: No such name, one that is not let in, several of that name, or it cannot be loaded.
        """
        found = self._loaded.get((kind, name))
        if found is None:
            found = self._loaded[kind, name] = self._load(kind, name, self._choose(kind, name))
        return found

    def origin(self, kind: ExtensionKind, name: str) -> Origin:
        """Return the entry point of an extension, importing nothing; raises like `find`."""
        return self._choose(kind, name)[0]

    def open_embedder(self, model: str, home: Path) -> Embedder:
        """Open the embedder that made an index's vectors, so that a query is embedded like the chunks were.

        Args:
            model: What `Embedder.model` returned: `<extension name>:<canonical JSON of its parameters>`.
            home: The folder for all data.

        Returns:
            An embedder with the same name and parameters.

        Raises:
            ConfigError: The text is not of that form, or the embedder is not installed or cannot be opened.
        """
        name, _, text = model.partition(":")
        try:
            parameters = json.loads(text)
        except ValueError as error:
            raise ConfigError(
                f"embedding model {model!r} cannot be reopened: {error}; embed again"
            ) from error
        if not isinstance(parameters, dict):
            raise ConfigError(f"embedding model {model!r} cannot be reopened: no parameters; embed again")
        embedder: Embedder = self.find(ExtensionKind.EMBEDDER, name).open(parameters, home)
        return embedder

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each registration that loses its name to another, importing none of them."""
        yield from self._vain_replacements()
        for kind, name, offers in self._all():
            choice, used = self._choice(kind, name, offers)
            for offer in offers if choice.replacement is None else ():
                if offer is not used:
                    yield _collision(kind, name, offer, offers, used)

    def events(self) -> Iterator[PluginEvent]:
        """Yield what became of each extension, for the audit."""
        for kind, name, offers in self._all():
            subject = f"{kind.label} {name}"
            choice, used = self._choice(kind, name, offers)
            chosen = choice.replacement
            for offer in offers:
                if chosen is not None:
                    by = "" if offer is used else f"by {chosen.distribution}"
                    outcome = Outcome.REGISTERED if offer is used else Outcome.REPLACED
                    yield PluginEvent(offer[0], outcome, subject, chosen.written, by)
                elif offer is used:
                    yield PluginEvent(offer[0], Outcome.REGISTERED, subject)
                else:
                    details = _collision(kind, name, offer, offers, used).message
                    yield PluginEvent(offer[0], Outcome.REJECTED, subject, details=details)
        for kind in ExtensionKind:
            for name, offers in self._of(kind).items():
                for origin, _ in offers:
                    refusal = self._policy.refusal(origin)
                    if refusal is not None:
                        subject = f"{kind.label} {name}"
                        yield PluginEvent(origin, Outcome.BLOCKED, subject, self._policy.written, refusal)

    def _vain_replacements(self) -> Iterator[Problem]:
        kinds = {kind.plural: kind for kind in ExtensionKind}
        for chosen in self._policy.replaces.values():
            kind = kinds.get(chosen.kind)
            if kind is None or self._policy.closed:
                continue
            let_in = self._let_in(self._of(kind).get(chosen.name, []))
            choice, _ = self._choice(kind, chosen.name, let_in)
            if choice.replacement is None:
                yield Problem(
                    f"`replaces` chooses {chosen.distribution} for the {kind.label} '{chosen.name}', but it "
                    "does not provide it",
                    subject=chosen.written,
                    hint="install it, let it in, correct its name, or remove the line",
                )

    def _of(self, kind: ExtensionKind) -> dict[str, list[Offer]]:
        if kind not in self._offers:
            offers: dict[str, list[Offer]] = defaultdict(list)
            for origin, point in self._installed.of(kind.value):
                if origin not in [known for known, _ in offers[point.name]]:
                    offers[point.name].append((origin, point))
            self._offers[kind] = dict(offers)
        return self._offers[kind]

    def _let_in(self, offers: list[Offer]) -> list[Offer]:
        return [offer for offer in offers if self._policy.refusal(offer[0]) is None]

    def _all(self) -> Iterator[tuple[ExtensionKind, str, list[Offer]]]:
        for kind in ExtensionKind:
            for name, offers in self._of(kind).items():
                let_in = self._let_in(offers)
                if let_in:
                    yield kind, name, let_in

    def _choice(self, kind: ExtensionKind, name: str, offers: list[Offer]) -> tuple[Choice, Offer | None]:
        """Return what was chosen and the offer that is used; None where several stand against each other."""
        replacement = self._policy.chosen(kind.plural, name)
        choice = choose_offer([origin for origin, _ in offers], replacement)
        return choice, None if choice.position is None else offers[choice.position]

    def _choose(self, kind: ExtensionKind, name: str) -> Offer:
        offers = self._of(kind).get(name, [])
        let_in = self._let_in(offers)
        if not let_in:
            self._refuse(kind, name, offers)
        _, used = self._choice(kind, name, let_in)
        if used is None:
            raise ConfigError(str(_collision(kind, name, let_in[0], let_in, used)))
        return used

    def _refuse(self, kind: ExtensionKind, name: str, offers: list[Offer]) -> None:
        for origin, _ in offers:
            raise ConfigError(
                f"{kind.label} '{name}' is offered by {origin}, which is not let in: "
                f"{self._policy.refusal(origin)}"
            )
        raise ConfigError(f"unknown {kind.label} '{name}'; {did_you_mean(name, self.names(kind))}")

    def _load(self, kind: ExtensionKind, name: str, offer: Offer) -> Extension:
        origin, point = offer
        try:
            with LoadGuard(self._policy.load_seconds) as guard:
                extension: Any = guard.run(str(origin), lambda: load_target(point))
        except PluginTimeoutError as error:
            limit = self._policy.load_seconds
            raise ConfigError(
                f"{kind.label} '{name}': {origin} took longer than {limit:g} s to import and was "
                "interrupted; let it import and connect inside `build`"
            ) from error
        except Exception as error:
            # Whatever a plugin breaks while it is imported must name the plugin.
            raise ConfigError(
                f"{kind.label} '{name}': {origin} cannot be loaded: {error_text(error)}; "
                "upgrade or uninstall the distribution, or tell its authors"
            ) from error
        _check_extension(kind, name, origin, extension)
        return extension  # type: ignore[no-any-return] # checked above


def check_extension(kind: ExtensionKind, name: str, parameters: dict[str, Any], info: ValidationInfo) -> None:
    """Let an unknown extension or parameter be an error of the YAML file, not of a run.

    Call it from a validator of a config model. It does nothing where the model is validated without a
    catalogue in its context, as inside a step: there the extension is opened right afterwards.

    Args:
        kind: What is wanted.
        name: The name written in YAML.
        parameters: Its parameters as written.
        info: What pydantic gives the validator.

    Raises:
        ValueError: There is no such extension, or the parameters do not fit it.
    """
    catalogue = (info.context or {}).get(CONTEXT_KEY)
    if catalogue is None:
        return
    try:
        catalogue.find(kind, name).validate(parameters)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _check_extension(kind: ExtensionKind, name: str, origin: Origin, extension: Any) -> None:
    rule = None
    if not isinstance(extension, Extension):
        rule = f"names {type(extension).__name__} {str(extension)[:60]!r}; it must name an Extension"
    elif extension.kind is not kind:
        rule = f"names an Extension of kind {extension.kind}; it must be of kind {kind}"
    elif extension.name != name:
        rule = f"names an Extension called {extension.name!r}; name it {name!r}, like its entry point"
    elif not (isinstance(extension.config_model, type) and issubclass(extension.config_model, BaseModel)):
        rule = f"has the config_model {extension.config_model!r}; it must be a pydantic model class"
    elif plain := secret_fields(extension.config_model):
        fields = ", ".join(plain)
        rule = f"takes secrets as plain text in {fields}; declare them as medkg_dagster.stage_api.Secret"
    elif not callable(extension.build):
        rule = f"has the build {extension.build!r}; it must be a function (parameters, home)"
    if rule is not None:
        raise ConfigError(f"{origin} {rule}; upgrade or uninstall the distribution, or tell its authors")


def _collision(
    kind: ExtensionKind, name: str, offer: Offer, offers: list[Offer], used: Offer | None
) -> Problem:
    others = " and ".join(str(other[0]) for other in offers if other is not offer)
    kept = "none of them is used" if used is None else "the built-in is kept"
    choice = f"`replaces: {{{kind.plural}: {{{name}: {offer[0].distribution}}}}}` in config/plugins.yaml"
    return Problem(
        f"{kind.label} '{name}' is registered by {others} too; {kept}",
        subject=str(offer[0]),
        hint=f"uninstall or block one, rename it, or choose it: {choice}",
    )
