"""Stages that load, and break their contract while they run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A stage plugin, and what its step fails with.

    Attributes:
        title: What is wrong with it.
        source: Its module, behind the common prelude.
        expected: The essential part of the failure.
    """

    title: str
    source: str
    expected: str


def stage(execute: str, **changes: str) -> str:
    """A plugin whose stage has this `execute`, and whose metadata says so."""
    says = ", ".join(f"{key}={value}" for key, value in changes.items())
    body = "".join(f"    {line}\n" for line in execute.splitlines())
    return (
        f"class Stage:\n{body}\n\n"
        "def build_stage(definition):\n    return Stage()\n\n\n"
        f"def register():\n    return StageRegistration(metadata({says}), build_stage)\n"
    )


def built(builder: str) -> str:
    """A plugin whose builder is written like this."""
    return f"{builder}\n\n\ndef register():\n    return StageRegistration(metadata(), build_it)\n"


FINE = "def execute(self, ctx): return ('a',)"
LIST = '{"lab": list[str]}'

EXECUTE = [
    Row("has no execute", stage("pass"), "returned Stage, which has no method execute(ctx, **inputs)"),
    Row(
        "has an asynchronous execute",
        stage("async def execute(self, ctx): return ()"),
        "is asynchronous; write a plain method, and run an event loop inside it",
    ),
    Row(
        "wants an input it does not depend on",
        stage("def execute(self, ctx, *, document): return ()"),
        "argument: 'document'; write execute(self, ctx)",
    ),
    Row("has no context", stage("def execute(self): return ()"), "does not take its inputs"),
    Row(
        "exits",
        stage("def execute(self, ctx): sys.exit(5)"),
        "stage type 'lab-type' called sys.exit(5); raise an error instead",
    ),
    Row(
        "raises what nobody knows",
        stage("def execute(self, ctx): return {}['gone']"),
        "stage 'bad' (lab-type of lab-plugin 1.0): KeyError: 'gone'",
    ),
    Row(
        "recurses",
        stage("def execute(self, ctx): return self.execute(ctx)"),
        "RecursionError: maximum recursion depth exceeded",
    ),
    Row(
        "raises an error that cannot tell its text",
        "class Mute(Exception):\n    def __str__(self): raise ValueError\n\n\n"
        + stage("def execute(self, ctx): raise Mute"),
        "stage 'bad' (lab-type of lab-plugin 1.0): Mute",
    ),
]
"""What `execute` is and does."""

BUILD = [
    Row(
        "is built of nothing",
        built("def build_it(definition): pass"),
        "returned NoneType, which has no",
    ),
    Row(
        "is built of a class",
        built("def build_it(definition): return Work"),
        "returned the class lab.Work; it must return an instance",
    ),
    Row(
        "has a builder that breaks",
        built("def build_it(definition): raise OSError('no model')"),
        "stage 'bad' (lab-type of lab-plugin 1.0): OSError: no model",
    ),
    Row(
        "has a builder that exits",
        built("def build_it(definition): sys.exit(6)"),
        "the builder of stage type 'lab-type' called sys.exit(6); raise an error instead",
    ),
]
"""What the builder gives."""

OUTPUT = [
    Row(
        "writes a foreign key",
        stage(FINE, output_handler="lambda state, name, output: state.update(document=output)"),
        "wrote the key 'document'; its state_key allows 'lab'",
    ),
    Row(
        "writes nothing",
        stage(FINE, output_handler="lambda state, name, output: None"),
        "of stage type 'lab-type' did not write 'lab'",
    ),
    Row(
        "takes its key back",
        stage(FINE, output_handler="lambda state, name, output: [state.update(lab=output), state.clear()]"),
        "of stage type 'lab-type' did not write 'lab'",
    ),
    Row(
        "has a handler that breaks",
        stage(FINE, output_handler="lambda state, name, output: output.words"),
        "output handler lab.register.<locals>.<lambda> of stage type 'lab-type' raised AttributeError",
    ),
    Row(
        "has a handler that exits",
        stage(FINE, output_handler="lambda state, name, output: sys.exit(7)"),
        "stage type 'lab-type' called sys.exit(7)",
    ),
    Row(
        "counts less than nothing",
        stage(FINE, output_counter="lambda output: -1"),
        "of stage type 'lab-type' returned -1; it must return a whole number, 0 or more",
    ),
    Row(
        "counts in words",
        stage(FINE, output_counter="lambda output: 'three'"),
        "returned 'three'; it must return",
    ),
    Row("counts yes", stage(FINE, output_counter="lambda output: True"), "returned True; it must"),
    Row(
        "cannot count",
        stage(FINE, output_counter="lambda output: 1 / 0"),
        "raised ZeroDivisionError",
    ),
    Row(
        "gives a generator",
        stage("def execute(self, ctx): return (n for n in iter(int, 1))", output_counter="lambda output: 1"),
        "the value of 'lab' is a generator, which can be read once and may never end; make it a tuple",
    ),
]
"""What comes of it."""

STORED = [
    Row(
        "gives another type than it says",
        stage("def execute(self, ctx): return 'abc'"),
        "state key 'lab': the value is not a tuple[str, ...]",
    ),
    Row(
        "gives what cannot be stored",
        stage("def execute(self, ctx): return [open]", state_types='{"lab": type(open)}'),
        "cannot be stored; declare a pydantic type, a NumPy array or a class with to_arrays",
    ),
    Row(
        "gives a list that holds itself",
        stage(
            "def execute(self, ctx):\n    loop = []\n    loop.append(loop)\n    return loop",
            state_types='{"lab": list}',
        ),
        "state key 'lab': the value is not a builtins.list",
    ),
    Row(
        "gives things that JSON does not have",
        stage("def execute(self, ctx): return [object()]", state_types='{"lab": list}'),
        "state key 'lab': the value is not a builtins.list",
    ),
]
"""What it gives is of the wrong kind; Dagster stores it after the stage is done."""

ROWS = [*EXECUTE, *BUILD, *OUTPUT, *STORED]
