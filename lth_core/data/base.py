"""What is known of a data set before one of its files is read, and how its files may lie on a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_core.errors import UsageError

# Pool images `(image, feature)` or `(image, channel, row, column)`, pool labels, test images, test labels: all uint8.
Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
SHOWN = 8  # names of what was found instead, in a refusal


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
        """The first layout whose files all lie in one of the places below `where`, and these files; reads none."""
        for layout in self.layouts:
            for place in self.places:
                files = [next((p for n in names if (p := where / place / n).is_file()), None) for names in layout.files]
                there = [f for f in files if f]
                if len(there) == len(files) and layout.suits(there):
                    return layout, there
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
                files = (p for p in sorted(folder.iterdir()) if not p.is_dir() and p.name[0] != ".")
                found += [(Path(place) / p.name).as_posix() for p in files]
        there = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        sub = ", ".join(p for p in self.places if p)
        return f"wanted are {names}, there or in {sub}; " + (f"found were {there}" if found else "nothing was found")


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


def from_parquet(files: list[Path], column: str) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Images `(image, row, column[, channel])` and labels `(image,)` of each Parquet file, as the Hugging Face hub
    keeps them: `column` holds `{"bytes": a PNG, …}`, "label" a number. A file that is not so is a `UsageError`."""
    import io

    import pyarrow.parquet as pq
    from PIL import Image

    made = []
    for file in files:
        try:
            table = pq.read_table(file, columns=[column, "label"])
            coded = table[column].combine_chunks().field("bytes").to_pylist()
            images = np.stack([np.asarray(Image.open(io.BytesIO(b), formats=["PNG"])) for b in coded])
            labels = table["label"].to_numpy()
            if labels.dtype.kind not in "iu":
                raise TypeError("labels are whole numbers")
            made.append((images, labels.astype(np.uint8)))
        except Exception as error:  # whatever readers of Parquet and PNG make of bytes of unknown origin
            raise UsageError(f"{file} is not a Parquet file of images and labels ({type(error).__name__}).") from error
    return made


def has_column(column: str) -> Callable[[list[Path]], bool]:
    """Whether Parquet files hold a column: both data sets' have the same names."""

    def suits(files: list[Path]) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return all(column in pq.read_schema(f).names for f in files)
        except (pa.ArrowException, OSError):
            return False

    return suits
