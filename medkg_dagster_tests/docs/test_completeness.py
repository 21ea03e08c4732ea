"""Everything a user can write, run or meet is documented, with the default it really has."""

from __future__ import annotations

import ast
import enum
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import MetaData

from medkg_dagster import errors, settings
from medkg_dagster.cli import main
from medkg_dagster.domain.documents import AnnotationRole
from medkg_dagster.ledger.models import JobStatus, StageStatus
from medkg_dagster.ledger.schema import METADATA as LEDGER_TABLES
from medkg_dagster.registry import OWN_DISTRIBUTION, RegisteredStage, StageRegistry, build_default_stage_factory
from medkg_dagster.stage_api import Extension, ExtensionKind, StageContext, StageMetadata, extension_names
from medkg_dagster.stage_api import find_extension
from medkg_dagster.topology.gates import GateOperator
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster_tests.docs.markdown import DOCS, Section, sections

STAGES = DOCS / "guides" / "stages.md"
AUTHORING = DOCS / "guides" / "pipeline-authoring.md"
COMMANDS = DOCS / "guides" / "cli.md"
CUSTOM_STAGES = DOCS / "guides" / "custom-stages.md"
LEDGER = DOCS / "guides" / "ledger.md"
RUNNING = DOCS / "guides" / "running.md"
ARCHITECTURE = DOCS / "architecture.md"

KIND_LABELS = {
    ExtensionKind.SOURCE: "Source",
    ExtensionKind.EMBEDDER: "Embedder",
    ExtensionKind.INDEX_STORE: "Index store",
    ExtensionKind.GRAPH_STORE: "Graph store",
}
