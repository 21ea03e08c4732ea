"""The extractor `llm`, as it is registered; its work is in `llm_extractor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from medkg_dagster.io.service_addresses import check_base_url
from medkg_dagster.stage_api import Config, Extension, ExtensionKind, Secret

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.llm.llm_extractor import LlmExtractor

_OWN_KEYS = frozenset({"model", "messages", "response_format", "stream", "n"})


class LlmParameters(Config):
    """Which service and model the extractor `llm` asks, and how much it gives it at once."""

    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="The service; passages are posted to <base_url>/chat/completions.",
    )
    model: str = Field(min_length=1, description="The model's name at the service.")
    api_key: Secret | None = Field(
        default=Secret(env="OPENAI_API_KEY"),
        description="Environment variable that holds the API key; null for a service without one.",
    )
    vocabulary: Path | None = Field(
        default=None,
        description="The vocabulary in which both ends of a claim must be, as `dictionary` takes it.",
    )
    options: dict[str, Any] = Field(
        default_factory=lambda: {"temperature": 0, "max_tokens": 4096},
        description="Further keys of each request, as the service understands them.",
    )
    passage_characters: int = Field(
        default=6000, ge=200, le=200_000, description="So much text is sent at once, in whole sentences."
    )
    max_passages: int = Field(
        default=200,
        ge=1,
        description="Of a longer document the passages after these are left out, and counted.",
    )
    max_seconds: float = Field(
        default=480.0,
        gt=0,
        description="After so long the other passages of a document are left to the next run, and counted.",
    )
    timeout_seconds: float = Field(
        default=120.0, gt=0, description="Longest wait for one reply; the stage's policy may make it shorter."
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Attempts per request where they are to be fewer than the stage policy's "
        "`max_attempts`; status 429, 5xx and broken connections are tried again.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_base_url(self.base_url, sends_key=self.api_key is not None)
        if taken := _OWN_KEYS & self.options.keys():
            raise ValueError(f"options must not hold {', '.join(sorted(taken))}, which the extractor sets")
        return self


def _build(parameters: LlmParameters, home: Path) -> LlmExtractor:
    from medkg_dagster.stages.extract.llm.llm_extractor import LlmExtractor

    return LlmExtractor(parameters, home)


LLM = Extension(
    kind=ExtensionKind.EXTRACTOR,
    name="llm",
    description="Claims of a model behind an OpenAI-compatible chat endpoint, held against the text.",
    config_model=LlmParameters,
    build=_build,
)
