"""What is known of a data set before one of its files is read, and how its files may lie on a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.errors import UsageError

# Pool images `(image, feature)` or `(image, channel, row, column)`, pool labels, test images, test labels: all uint8.
Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
SHOWN = 8  # names of what was found instead, in a refusal
MOST_FOLDERS = 200  # in which a refusal looks for files that lie elsewhere


@dataclass(frozen=True)
class Layout:
    """One form in which a data set is handed around.

    - `says`: the form, in words
    - `files`: of each wanted file the names that it may have, in the order in which `read` gets them
    - `read`: files -> `Parts`
    - `suits`: whether these files are this data set's, where their names do not tell
    """

    says: str
    files: tuple[tuple[str, ...], ...]
    read: Callable[[list[Path]], Parts]
    suits: Callable[[list[Path]], bool] = lambda files: True


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A data set: what a row's identity and shapes need, and where it may be found.

    - `checksum`: SHA-256 (first 16 hex digits) of the four arrays: part of every cell's identity, written down so that
      published results can be read where the data are not
    - `shape`: of one image, `(feature,)` or `(channel, row, column)`
    - `train`, `val`, `test`: images for training, for validation (drawn from the same pool) and for testing
    - `stand_in`: data that come along, used in its place where it cannot be had
    - `places`, `layouts`: sub-folders in which, and forms in which, its files are looked for
    - `fetch`: reads or downloads it from the folder where nothing was found
    """

    name: str
    title: str
    checksum: str
    shape: tuple[int, ...]
    train: int
    val: int
    test: int
    stand_in: str = ""
    places: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
    fetch: Callable[[Path], Parts]

    def find(self, where: Path) -> tuple[Layout, list[Path]] | None:
        """The first layout whose files all lie in one of the places below `where`, and these files; reads none. Their
        names may be in capital letters or small ones: some disks keep only one sort."""
        listed = cache(_listed)
        for layout in self.layouts:
            for place in self.places:
                files = [
                    next((p for n in names if (p := _inside(where, Path(place) / n, listed)).is_file()), None)
                    for names in layout.files
                ]
                there = [f for f in files if f]
                if len(there) == len(files) and layout.suits(there):
                    return layout, there
        return None

    def near(self, where: Path) -> Path | None:
        """A folder that has the files though `where` has not: the one above it, or one up to three below."""
        folders = [where.resolve().parent]
        level = [where]
        for _ in range(3):
            level = [p for folder in level for p in _folders(folder)][: MOST_FOLDERS - len(folders)]
            folders += level
        for folder in folders:
            with suppress(OSError):
                if self.find(folder):
                    return folder
        return None

    def wanted(self, where: Path) -> str:
        """Which files are looked for, where, and what lies there instead, as the end of a sentence."""
        names = "; or ".join(
            ", ".join(n[0] for n in layout.files) + " (.gz or not)" * any(".gz" in n[-1] for n in layout.files if n[1:])
            for layout in self.layouts
        )
        found: list[str] = []
        for place in self.places:
            folder = where / place
            if folder.is_dir():
                files = (p for p in sorted(folder.iterdir()) if p.name[0] != "." and (not place or not p.is_dir()))
                found += [(Path(place) / p.name).as_posix() + "/" * p.is_dir() for p in files]
        there = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        sub = ", ".join(p for p in self.places if p)
        near = self.near(where)
        return (
            f"wanted are {names}, there or in {sub}; "
            + (f"found were {there}" if found else "nothing was found")
            + (f"; files of these names lie in {near}, which can be named" if near else "")
        )


def _listed(folder: Path) -> Mapping[str, Path]:
    """What a folder holds, by names in small letters; nothing of what is no folder."""
    return {p.name.lower(): p for p in sorted(folder.iterdir())} if folder.is_dir() else {}


def _inside(where: Path, name: Path, listed: Callable[[Path], Mapping[str, Path]]) -> Path:
    """`where / name`, or where that is not there, the same in other capital and small letters."""
    here = where
    for part in name.parts:
        exact = here / part
        here = exact if exact.exists() else listed(here).get(part.lower(), exact)
    return here


def _folders(folder: Path) -> list[Path]:
    """The folders in one that are not hidden; none in what cannot be read."""
    try:
        return [p for p in sorted(folder.iterdir()) if p.name[0] != "." and p.is_dir()]
    except OSError:
        return []


def pixels(values: Any) -> NDArray[np.uint8]:
    """Numbers from 0 to 255 as uint8; a ValueError where one is none, as where pixels were scaled."""
    given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise TypeError("no numbers")
    with np.errstate(invalid="ignore"):
        made = given.astype(np.uint8)
    if not np.array_equal(made, given):
        raise ValueError("values are not whole numbers from 0 to 255")
    return made


def downloaded(title: str, where: Path, get: Callable[[], object]) -> object:
    """Have torchvision download a data set: it compares what arrives with the official MD5 before unpacking it."""
    try:
        return get()
    except (RuntimeError, OSError, EOFError) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{title} is not in {where}, or damaged there, and could not be downloaded ({said}): put the official "
            "files there, or name their folder with data_dir or LTH_DATA_DIR."
        ) from error


@contextmanager
def aside(where: Path) -> Iterator[Path]:
    """A folder in `where` for what is being downloaded: files go to their places when they are whole, so that nobody
    reads, and nobody writes over, what another process is fetching."""
    with tempfile.TemporaryDirectory(dir=where, prefix=".download-") as folder:
        yield Path(folder)


def from_tables(files: list[Path], column: str) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Images `(image, row, column[, channel])` and labels `(image,)` of each Parquet or Arrow file, as the Hugging Face
    hub and its library keep them: `column` holds `{"bytes": a PNG, …}`, "label" a number. A file that is not so is a
    `UsageError`."""
    import io

    from PIL import Image

    made = []
    for file in files:
        try:
            table = _table(file, [column, "label"])
            coded = table[column].combine_chunks().field("bytes").to_pylist()
            images = np.stack([np.asarray(Image.open(io.BytesIO(b), formats=["PNG"])) for b in coded])
            if images.ndim not in (3, 4):
                raise TypeError("no images")
            labels = table["label"].to_numpy()
            if labels.dtype.kind not in "iu":
                raise TypeError("labels are whole numbers")
            made.append((images, pixels(labels)))
        except Exception as error:  # whatever readers of tables and PNG make of bytes of unknown origin
            raise UsageError(f"{file} is no table of images and labels ({type(error).__name__}).") from error
    return made


@contextmanager
def _arrow(file: Path) -> Iterator[Any]:
    """The stream of an Arrow file, read where it lies."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as held, pa.ipc.open_stream(held) as stream:
        yield stream


def _table(file: Path, columns: list[str]) -> Any:
    import pyarrow.parquet as pq

    if file.suffix.lower() != ".arrow":
        return pq.read_table(file, columns=columns)
    with _arrow(file) as stream:
        return stream.read_all().select(columns)


def has_column(column: str) -> Callable[[list[Path]], bool]:
    """Whether Parquet or Arrow files hold a column: both data sets' have the same names."""

    def suits(files: list[Path]) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        def names(file: Path) -> list[str]:
            try:
                if file.suffix.lower() != ".arrow":
                    return pq.read_schema(file).names
                with _arrow(file) as stream:
                    return list(stream.schema.names)
            except (pa.ArrowException, OSError):
                return []

        return all(column in names(f) for f in files)

    return suits
