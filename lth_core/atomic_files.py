"""Files that are whole or absent, whatever ends the process that writes them: the one home of temporary names."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lth_core.errors import StoreError


def write(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def refuse_others(path: Path) -> None:
    """`OSError` for what is no file: a folder, or a pipe or a device, which whoever reads it would wait for or never
    come to the end of. (A link to a file is one.)"""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot flush a folder
            raise
    finally:
        os.close(opened)


def sweep(path: Path) -> None:
    """Remove what killed processes of this machine left half written to take the place of `path`."""
    for leftover in path.parent.glob(f".{_literal(path.name)}.{_literal(os.uname().nodename)}.*"):
        if not alive(leftover.suffix[1:]):
            leftover.unlink(missing_ok=True)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file in the same folder, which takes the place of `path` when the block ends well: who reads `path`
    finds what it was before or all that is new. Else it is removed; of a killed process the next one removes it."""
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        try:
            yield temporary
            flush(temporary)
            os.replace(temporary, path)
            flush(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for what is not kept, gone when the block ends; of a killed process the next one removes it. Blocks
    within blocks have other names."""
    host, every = os.uname().nodename, Path(tempfile.gettempdir())
    for leftover in every.glob(f"{name}.{_literal(host)}.*"):
        if not alive(leftover.name.split(".")[-2]):
            shutil.rmtree(leftover, ignore_errors=True)  # another user's stays
    with tempfile.TemporaryDirectory(prefix=f"{name}.{host}.{os.getpid()}.") as folder:
        yield Path(folder)


def unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written ({error.strerror or error}): what was there before stays; {remedy(error)}, then run "
        "the same command again."
    )


def remedy(error: OSError) -> str:
    """What to do where the system refuses to write."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "ask for the right to write there, or name another folder"
    return "free space or name another folder"


def _literal(text: str) -> str:
    """A name as `glob` takes it for itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def alive(process: str) -> bool:
    """Whether another process of this number runs here. What bears our own is a dead namesake's: containers start
    counting anew each time."""
    if process == str(os.getpid()):
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True
