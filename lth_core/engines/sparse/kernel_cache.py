"""Compiled kernels on disk, each file under a checksum: Numba runs whatever code it finds there."""

from __future__ import annotations

import hashlib
import pickle
from contextlib import suppress
from typing import Any

from numba.core.caching import IndexDataCacheFile

SIZE = hashlib.sha256().digest_size


class Sealed(IndexDataCacheFile):
    """Numba's own files with their SHA-256 in front. What does not agree is not there: the kernel is compiled again,
    and takes its place. Where nothing can be written, every process compiles for itself."""

    def _put(self, path: str, data: bytes) -> None:
        with suppress(OSError), self._open_for_write(path) as f:
            f.write(hashlib.sha256(data).digest() + data)

    def _taken(self, path: str) -> bytes:
        try:
            with open(path, "rb") as f:
                seal, data = f.read(SIZE), f.read()
        except OSError:
            return b""
        return data if hashlib.sha256(data).digest() == seal else b""

    def _save_index(self, overloads: dict[Any, Any]) -> None:
        self._put(self._index_path, pickle.dumps((self._version, self._source_stamp, self._dump(overloads))))

    def _load_index(self) -> dict[Any, Any]:
        if not (data := self._taken(self._index_path)):
            return {}
        version, stamp, overloads = pickle.loads(data)
        return pickle.loads(overloads) if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_data(self, name: str, data: Any) -> None:
        self._put(self._data_path(name), self._dump(data))

    def _load_data(self, name: str) -> Any:
        if not (data := self._taken(self._data_path(name))):
            raise FileNotFoundError(name)  # after which Numba compiles
        return pickle.loads(data)
