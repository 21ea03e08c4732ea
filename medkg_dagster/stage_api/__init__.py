"""All that a stage author imports; it knows nothing of Dagster."""

from medkg_dagster.domain.chunks import Chunk, chunk_id
from medkg_dagster.domain.documents import (
    Annotation,
    AnnotationRole,
    Block,
    BlockKind,
    Document,
    Section,
    hash_content,
)
from medkg_dagster.domain.embeddings import EmbeddingBatch
from medkg_dagster.domain.file_records import DownloadedFile, FileRecord, FileStatus
from medkg_dagster.domain.gates import GateClause, GateCondition, GateOperator
from medkg_dagster.domain.knowledge import Claim, Edge, Entity, Node
from medkg_dagster.domain.payloads import Payload, PayloadFormat
from medkg_dagster.domain.receipts import GraphReceipt, IndexReceipt
from medkg_dagster.domain.value import Config, Value
from medkg_dagster.errors import (
    ConfigError,
    DocumentError,
    GateConditionError,
    MedkgError,
    RejectedDocumentError,
    SourceError,
    StageConfigError,
    StoreError,
    UnreadableDocumentError,
    UnsafeDocumentError,
)
from medkg_dagster.stage_api._calls import ExternalCalls
from medkg_dagster.stage_api._context import QuarantinedDocument, StageContext, Stopwatch
from medkg_dagster.stage_api._extensions import (
    Embedder,
    Extension,
    ExtensionKind,
    Extensions,
    GraphStore,
    IndexStore,
    Neighbour,
    NoParameters,
    RemoteEmbedder,
    SearchHit,
    Source,
    check_extension,
)
from medkg_dagster.stage_api._job_record import GatePassage, InMemoryJobRecord, JobRecord
from medkg_dagster.stage_api._secrets import Secret
from medkg_dagster.stage_api._stage_types.metadata import (
    API_VERSION,
    OutputCounter,
    OutputHandler,
    StageMetadata,
    SubprocessIsolation,
)
from medkg_dagster.stage_api._stage_types.registration import (
    Stage,
    StageBuilder,
    StagePlugin,
    StageRegistration,
    write_key,
)
from medkg_dagster.stage_api._stage_types.views import StageDefinitionView, TopologyView
from medkg_dagster.stage_api._stage_types.work_at_gates import WaitingJob, WorkAtGate

__all__ = [
    "API_VERSION",
    "Annotation",
    "AnnotationRole",
    "Block",
    "BlockKind",
    "Chunk",
    "Claim",
    "Config",
    "ConfigError",
    "Document",
    "DocumentError",
    "DownloadedFile",
    "Edge",
    "Embedder",
    "EmbeddingBatch",
    "Entity",
    "Extension",
    "ExtensionKind",
    "Extensions",
    "ExternalCalls",
    "FileRecord",
    "FileStatus",
    "GateClause",
    "GateCondition",
    "GateConditionError",
    "GateOperator",
    "GatePassage",
    "GraphReceipt",
    "GraphStore",
    "InMemoryJobRecord",
    "IndexReceipt",
    "IndexStore",
    "JobRecord",
    "MedkgError",
    "Neighbour",
    "NoParameters",
    "Node",
    "OutputCounter",
    "OutputHandler",
    "Payload",
    "PayloadFormat",
    "QuarantinedDocument",
    "RejectedDocumentError",
    "RemoteEmbedder",
    "SearchHit",
    "Secret",
    "Section",
    "Source",
    "SourceError",
    "Stage",
    "StageBuilder",
    "StageConfigError",
    "StageContext",
    "StageDefinitionView",
    "StageMetadata",
    "StagePlugin",
    "StageRegistration",
    "Stopwatch",
    "StoreError",
    "SubprocessIsolation",
    "TopologyView",
    "UnreadableDocumentError",
    "UnsafeDocumentError",
    "Value",
    "WaitingJob",
    "WorkAtGate",
    "check_extension",
    "chunk_id",
    "hash_content",
    "write_key",
]
