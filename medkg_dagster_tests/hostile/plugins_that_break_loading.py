"""Plugins that attack the loading itself: what is shown, counted, compared and read from their metadata."""

from __future__ import annotations

from dataclasses import dataclass

POINT = "entry point 'lab = lab:register' of lab-plugin 1.0"
TELL = "upgrade or uninstall the distribution, or tell its authors"
QUICK = "let it import and connect inside its builder, or raise load_seconds in plugins.yaml"


@dataclass(frozen=True)
class Row:
    """A plugin, and what is said of it.

    Attributes:
        title: What is wrong with it.
        source: Its module, behind the common prelude.
        expected: The essential part of each problem it becomes.
        hint: The essential part of what to do.
        usable: Stage types of it that count all the same.
    """

    title: str
    source: str
    expected: tuple[str, ...]
    hint: str = TELL
    usable: tuple[str, ...] = ()


def registers(what: str) -> str:
    return f"def register():\n    return {what}\n"


ENDINGS = [
    Row("exits without a word", "sys.exit()", ("cannot be loaded: SystemExit",)),
    Row(
        "is cancelled",
        "import asyncio\nraise asyncio.CancelledError",
        ("cannot be loaded: CancelledError",),
    ),
    Row(
        "raises an error of its own kind of kinds",
        "class Stop(BaseException): pass\nraise Stop('here')",
        ("cannot be loaded: Stop: here",),
    ),
    Row(
        "raises an error that cannot tell its text",
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute",
        ("cannot be loaded: Mute: its text cannot be shown",),
    ),
    Row(
        "exits with an error that cannot tell its text",
        "class Mute(SystemExit):\n    def __str__(self): raise ValueError\nraise Mute",
        ("cannot be loaded: Mute: its text cannot be shown",),
    ),
    Row(
        "recurses while it is imported",
        "def again(): again()\nagain()",
        ("cannot be loaded: RecursionError: maximum recursion depth exceeded",),
    ),
    Row(
        "swallows the first interruption and goes on",
        "late()\ndef loop():\n    while True: pass\ntry:\n    loop()\nexcept BaseException:\n    loop()",
        ("took longer than 60 s to load and was interrupted",),
        QUICK,
    ),
    Row(
        "waits between two registrations",
        "def register():\n    yield one(stage_type='early')\n    late()\n    time.sleep(60)\n",
        ("took longer than 60 s to load and was interrupted",),
        QUICK,
        ("early",),
    ),
]
"""How loading can end."""

FLOODS = [
    Row(
        "registers one type for ever",
        "def register():\n    same = one()\n    while True: yield same\n",
        (
            "registers more than 10,000 stage types; only the first count",
            "registered already by the same entry point (9,999 times too often); the first is kept",
        ),
        "",
        usable=("lab-type",),
    ),
    Row(
        "registers types for ever",
        "def register():\n    n = 0\n    while n := n + 1: yield one(stage_type=f'lab-{n}')\n",
        ("registers more than 10,000 stage types; only the first count",),
        usable=("lab-1", "lab-10000"),
    ),
    Row(
        "yields nothing for ever",
        "def register():\n    while True: yield None\n",
        (
            "registers more than 10,000 stage types; only the first count",
            "expected a StageRegistration, got NoneType 'None'",
            "9,999 more of its registrations are refused",
        ),
    ),
    Row(
        "yields different nonsense twenty times",
        "def register():\n    yield one()\n    yield from range(20)\n",
        (
            *(f"expected a StageRegistration, got int '{number}'" for number in range(10)),
            "10 more of its registrations are refused",
        ),
        usable=("lab-type",),
    ),
]
"""How many problems one plugin can make."""

UNSHOWABLE = [
    Row(
        "returns an object that cannot be shown",
        "class Odd:\n    def __repr__(self): raise ValueError\n\n" + registers("[Odd()]"),
        ("expected a StageRegistration, got Odd",),
    ),
    Row(
        "names an object that cannot be shown",
        "class Odd:\n    def __repr__(self): raise ValueError\n\nregister = Odd()",
        ("cannot be loaded: ValueError",),
    ),
    Row(
        "has a builder whose signature breaks",
        "class Odd:\n    def __call__(self, definition): pass\n    @property\n"
        "    def __signature__(self): raise KeyError('sig')\n\n"
        + registers("StageRegistration(metadata(), Odd())"),
        ("a registration cannot be checked: KeyError: 'sig'",),
    ),
    Row(
        "has a handler whose signature never comes",
        "class Odd:\n    def __call__(self, *given): pass\n    @property\n"
        "    def __signature__(self):\n        late()\n        while True: pass\n\n"
        + registers("one(output_handler=Odd())"),
        ("a registration cannot be checked: PluginTimeoutError: interrupted after 60 s",),
    ),
    Row(
        "has a config model that exits when it is looked at",
        "class Meta(type(BaseModel)):\n    def __hash__(self): sys.exit(4)\n\n"
        "class Model(BaseModel, metaclass=Meta):\n    size: int = 1\n\n"
        + registers("one(config_model=Model)"),
        ("a registration cannot be checked: SystemExit: 4",),
    ),
    Row(
        "holds a dict for metadata",
        registers("StageRegistration({'stage_type': 'lab-type'}, build)"),
        ("metadata must be a StageMetadata, got dict",),
    ),
    Row("is a registration", "register = one()", ("names StageRegistration",)),
    Row(
        "is a class of something else",
        "class register: pass",
        ("lab.register returned register; it must return a StageRegistration or an iterable of them",),
    ),
    Row(
        "has a builder that is a coroutine",
        "async def build(definition): return Work()\n" + registers("StageRegistration(metadata(), build)"),
        ("stage type 'lab-type': the builder lab.build is asynchronous; a builder takes (definition)",),
    ),
    Row(
        "has a field there is not",
        registers("one(colour='red')"),
        ("cannot be loaded: TypeError: StageMetadata.__init__() got an unexpected keyword argument",),
    ),
    Row(
        "has no memory to run in",
        registers("one(isolation=SubprocessIsolation(memory_mb=-1))"),
        ("isolation: memory_mb must be a positive number, got -1",),
    ),
]
"""What a plugin gives is looked at, and that runs code of it."""

ROWS = [*ENDINGS, *FLOODS, *UNSHOWABLE]


@dataclass(frozen=True)
class Damage:
    """A file of an installed distribution that is not as it should be.

    Attributes:
        title: What is wrong with it.
        file: The file of the `dist-info` folder.
        content: What stands in it.
        expected: The essential part of subject and message; empty where nothing is said.
    """

    title: str
    file: str
    content: bytes
    expected: str


GROUP = b"[medical_kg.orchestration.stages]\n"
UNREADABLE = "its entry_points.txt cannot be read: "

NO_PATH = "is no path; write 'module:attribute'"
POINTS = "entry_points.txt"

DAMAGED = [
    Damage("a line without a path", POINTS, GROUP + b"lab\n", UNREADABLE),
    Damage("bytes that are no text", POINTS, b"\xff\xfe\x00", UNREADABLE),
    Damage(
        "a path that is none",
        POINTS,
        GROUP + b"lab = lab ! register\n",
        NO_PATH,
    ),
    Damage("no path at all", POINTS, GROUP + b"lab =\n", NO_PATH),
    Damage(
        "a path of the operating system",
        POINTS,
        GROUP + b"lab = ../../etc/passwd:x\n",
        NO_PATH,
    ),
    Damage("a module instead of a function", POINTS, GROUP + b"lab = lab\n", "names module"),
    Damage("a module that is missing", POINTS, GROUP + b"lab = lab_gone:register\n", "'lab_gone'"),
    Damage(
        "a function of the operating system",
        POINTS,
        GROUP + b"lab = os:system\n",
        "names posix.system, which wants arguments",
    ),
    Damage("one entry point twice", POINTS, GROUP + b"lab = lab:register\n" * 2, "registered already"),
    Damage(
        "two entry points for one function",
        POINTS,
        GROUP + b"a = lab:register\nb = lab:register\n",
        "is registered by entry point",
    ),
    Damage("an entry point without a name", POINTS, GROUP + b" = lab:register\n", ""),
    Damage("no group", POINTS, b"lab = lab:register\n", UNREADABLE),
    Damage(
        "a bracket that is not closed", POINTS, GROUP.replace(b"]", b"") + b"lab = lab:register\n", UNREADABLE
    ),
    Damage("no name", "METADATA", b"Metadata-Version: 2.1\n", ""),
    Damage("no metadata", "METADATA", b"", ""),
    Damage("metadata that is no text", "METADATA", b"\xff\xfe\x00", ""),
    Damage("a record that is no text", "RECORD", b"\xff\xfe\x00", ""),
]

UNDONE = "of the whole process while it loads; that was put back"
CARELESS = [
    Row("ends the process at once", "import os\nos._exit(0)", ("cannot be loaded: SystemExit: os._exit(0)",)),
    *(
        Row(
            f"changes the {what}",
            f"import io, os, signal\n{source}\n" + registers("one()"),
            (f"changes the {what} {UNDONE}",),
            usable=("lab-type",),
        )
        for what, source in (
            ("environment (HOME)", "os.environ['HOME'] = '/nowhere'"),
            ("environment (PATH)", "del os.environ['PATH']"),
            ("environment (MEDKG_HOME)", "os.environ['MEDKG_HOME'] = '/nowhere'"),
            ("working directory", "os.chdir('/')"),
            ("recursion limit", "sys.setrecursionlimit(5000)"),
            ("file mode mask (umask)", "os.umask(0o777)"),
            ("timeout of sockets", "import socket\nsocket.setdefaulttimeout(0.001)"),
            ("import path", "del sys.path[1:]"),
            ("function sys.exit", "sys.exit = print"),
            ("signal handlers", "signal.signal(signal.SIGALRM, signal.SIG_IGN)"),
            ("standard streams", "sys.stdout = io.StringIO()"),
        )
    ),
    Row(
        "leaves a thread running",
        "import threading\nthreading.Thread(target=time.sleep, args=(300,), name='poller').start()\n"
        + registers("one()"),
        ("leaves the thread 'poller' running, which no command waits for when it ends",),
        usable=("lab-type",),
    ),
    Row(
        "takes its time and catches what interrupts it",
        "late()\ntry:\n    time.sleep(600)\nexcept BaseException:\n    pass\n" + registers("one()"),
        ("s to load, which nothing could interrupt",),
        QUICK,
        usable=("lab-type",),
    ),
    Row(
        "adds a variable, an import path and a thread that ends",
        "import os, threading\nos.environ.setdefault('LAB_THREADS', '1')\nsys.path.append('/lab')\n"
        "helper = threading.Thread(target=str, daemon=False)\nhelper.start()\nhelper.join()\n"
        + registers("one()"),
        (),
        usable=("lab-type",),
    ),
]
"""What a plugin does to the process it is loaded in."""

ROWS += CARELESS

ENDLESS = [
    Row(
        "leaves a thread that never ends",
        "import threading\nthreading.Thread(target=threading.Event().wait, name='poller').start()\n"
        + registers("one()"),
        ("leaves the thread 'poller' running",),
    ),
    Row(
        "leaves a pool at work",
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "POOL = ThreadPoolExecutor(1, 'pool')\nPOOL.submit(threading.Event().wait)\n" + registers("one()"),
        ("leaves the thread 'pool_0' running",),
    ),
    Row("ends the process", "import os\nos._exit(0)", ("cannot be loaded: SystemExit: os._exit(0)",)),
    Row(
        "ends the process from a thread",
        "import os, threading\nthreading.Thread(target=os._exit, args=(0,)).start()\n"
        "threading.Event().wait(600)\n",
        (),
    ),
]
"""What would keep a command from ending, or end it before it has said anything."""

LATE_ENDINGS = [
    ("by atexit", "import atexit, os\natexit.register(os._exit, 0)\n"),
    ("by atexit, looked up late", "import atexit, os\natexit.register(lambda: os._exit(0))\n"),
    ("by atexit and a loud way", "import atexit\natexit.register(lambda: sys.exit(0))\n"),
]
"""How code ends the process once the command has come to its end."""
