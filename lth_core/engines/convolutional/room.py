"""Where maps lie while images are only evaluated: few arrays in turn, instead of one a layer as training needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lth_core.engines.convolutional.plan import NONE, Maps, Stage
from lth_core.engines.convolutional.vectors import IMAGES, zeros


def on_shared_maps(made: Sequence[Stage], last: Maps) -> tuple[list[Stage], Maps]:
    """The same convolutions for a group of images at a time, forward only: a map is forgotten once it has been read.

    Outputs go into three arrays in turn (a projection's are read behind the next convolution's), rectified maps into
    two, so that all stay in the caches."""
    sources = [stage.maps.source for stage in made[1:]] + [last.source]
    outputs = [IMAGES * stage.conv.outputs * stage.side**2 for stage in made]
    kept = [IMAGES * maps.channels * maps.side**2 for maps in (*(stage.maps for stage in made[1:]), last)]
    zs, hs = ([zeros(max(sizes)) for _ in range(n)] for sizes, n in ((outputs, 3), (kept, 2)))
    shared = {id(stage.z): zs[i % 3] for i, stage in enumerate(made)}
    real = [source.h for source in sources if source.h is not NONE]
    shared |= {id(h): hs[i % 2] for i, h in enumerate(real)}

    def moved(maps: Maps) -> Maps:
        source = maps.source
        arrays = {name: shared.get(id(old), old) for name in ("z", "other", "h") for old in [getattr(source, name)]}
        return replace(maps, source=source._replace(**arrays))

    return [replace(stage, maps=moved(stage.maps), z=shared[id(stage.z)]) for stage in made], moved(last)
