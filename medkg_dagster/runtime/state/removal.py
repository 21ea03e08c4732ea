"""Taking files away that somebody may begin to use at that very moment.

Who uses a file says so by its time. Who removes one first puts it aside, under a name of its own, where its
time cannot change any more, and looks at that time once more: a file that was used until then comes back.
Whoever needs what is aside brings it back too. So a kill leaves a file in its place, aside, or gone, and none
of these is wrong.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

ASIDE = ".aside"


def remove_unused(path: Path, before: float) -> bool:
    """Remove a file that was not used since a time; say whether it is gone by this.

    Args:
        path: The file, in its place or aside.
        before: Seconds since 1970.

    Raises:
        OSError: The file system refuses.
    """
    aside = path
    try:
        if path.suffix != ASIDE:
            aside = path.rename(path.with_name(f"{path.name}.{uuid4().hex}{ASIDE}"))
        if aside.stat().st_mtime >= before:
            bring_back(place_of(aside))
            return False
        aside.unlink()
    except FileNotFoundError:
        # Somebody else removed it, or brought it back.
        return False
    return True


def bring_back(path: Path) -> bool:
    """Bring a file back that was put aside; say whether it is in its place.

    Raises:
        OSError: The file system refuses.
    """
    for aside in list(_put_aside(path)):
        # Where another has been written meanwhile, that one is the younger.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.link(aside, path)
        aside.unlink(missing_ok=True)
    return path.exists()


def place_of(aside: Path) -> Path:
    """Return the place of a file that was put aside."""
    return aside.with_name(aside.name.rsplit(".", 2)[0])


def _put_aside(path: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.endswith(ASIDE) and place_of(Path(entry.path)) == path:
                yield Path(entry.path)
