"""Serves the tools, over stdin and stdout or over HTTP on loopback."""

from __future__ import annotations

import functools
import inspect
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from medkg_dagster import __version__
from medkg_dagster.errors import ConfigError, MedkgError
from medkg_dagster.mcp_server.tools import StoreTools
from medkg_dagster.query import Stores

HOST = "127.0.0.1"
PATH = "/mcp"
_INSTRUCTIONS = (
    "Biomedical documents and a knowledge graph made of them. Every statement comes with the sentence that "
    "supports it, the document, offsets into its text and a link: cite them. `negated` marks what a document "
    "denies, `certainty: possible` what it holds possible only, `background` what it tells as known before, "
    "`synthetic` what is invented and no evidence. `cut` says what an answer leaves out. Find a concept's "
    "CURIE with find_entities first where a name is ambiguous."
)
TOOLS = (
    StoreTools.search_documents,
    StoreTools.list_documents,
    StoreTools.read_document,
    StoreTools.find_entities,
    StoreTools.get_neighbours,
    StoreTools.get_claims,
    StoreTools.find_paths,
    StoreTools.count_everything,
)


def make_server(stores: Stores) -> Any:
    """Return the server, an `MCPServer`.

    Raises:
        ConfigError: The extra is not installed.
    """
    try:
        from mcp.server import MCPServer
        from mcp_types import ToolAnnotations
    except ImportError as error:
        raise ConfigError(
            f"`medkg mcp` needs the MCP SDK ({error}); install it with `pip install 'medkg-dagster[mcp]'`"
        ) from error
    server: Any = MCPServer("medkg", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING")
    tools = StoreTools(stores)
    reads_only = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    for tool in TOOLS:
        server.add_tool(_told(getattr(tools, tool.__name__)), annotations=reads_only, structured_output=True)
    server.call_tool = _in_a_sentence(server.call_tool)
    return server


def serve_stdio(stores: Stores) -> None:
    """Serve the program that has started this one, until it closes stdin."""
    make_server(stores).run("stdio")


def serve_http(stores: Stores, port: int, told: Callable[[str], None]) -> None:
    """Serve programs of this machine over HTTP, until interrupted.

    The SDK refuses other hosts and origins, so that no web page reaches it through a browser.

    Args:
        stores: What is asked.
        port: The port; 0 for any that is free.
        told: Given the address when it answers.

    Raises:
        ConfigError: The port is taken, or the extra is not installed.
    """
    app = make_server(stores).streamable_http_app(streamable_http_path=PATH, host=HOST)
    import uvicorn

    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"port {port} of {HOST} cannot be used: {error}; name another") from error
    with listening:
        told(f"http://{HOST}:{listening.getsockname()[1]}{PATH}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def _in_a_sentence(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return what calls a tool and says in one sentence which arguments it does not take."""
    from mcp.server.mcpserver.exceptions import ToolError

    async def called(name: str, *given: Any, **named: Any) -> Any:
        try:
            return await call(name, *given, **named)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            wrong = error.__cause__.errors(include_url=False, include_context=False, include_input=False)
            said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong)
            raise ToolError(f"{name} does not take these arguments: {said}") from error

    return called


def _told(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return a tool whose errors are told to the model in a sentence."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(ask)
    def asked(*given: Any, **named: Any) -> Any:
        try:
            return ask(*given, **named)
        except MedkgError as error:
            raise ToolError(str(error)) from error

    asked.__signature__ = inspect.signature(ask, eval_str=True)  # type: ignore[attr-defined] # without `self`, which `wraps` copies
    return asked
