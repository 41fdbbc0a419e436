"""A picture that is asked for: of which frame, how, and under which entity tag."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from lenticular import __version__
from lenticular.index.records import LocatedInstance
from lenticular.pixels.picture_formats import GIF
from lenticular.pixels.render_options import RenderOptions
from lenticular.services import Services
from lenticular.transactions.render.resource_category import ResourceCategory, category_of

COSTLY_BYTES = 4 << 20
COSTLY_COMPRESSED = 512 << 10
"""A picture for which so much is read is cached in a bucket (docs/decisions/0023)."""

MAX_TRIES = 4
"""Instances, and frames of each, that are tried for the picture of a study, series or instance."""


class PictureKind(StrEnum):
    """The kinds of pictures: rendered as the file says, or one of Orthanc's kinds."""

    RENDERED = "rendered"
    PREVIEW = "preview"
    UINT8 = "image-uint8"
    UINT16 = "image-uint16"
    INT16 = "image-int16"


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """A picture that can be drawn; without a frame number, of the representative frame.

    With a presentation state it is one of the images that the state shows. A tile names the
    modality, where nothing can be drawn.
    """

    services: Services
    located: LocatedInstance
    frame_number: int | None
    options: RenderOptions
    kind: PictureKind = PictureKind.RENDERED
    thumbnail: bool = False
    state: LocatedInstance | None = None
    is_tile: bool = False

    @property
    def etag(self) -> str:
        """The entity tag, made of everything that determines the picture."""
        identity = (
            *(__version__, self.frame_number, self.options, self.kind.value, self.thumbnail),
            None if self.state is None else self.state.instance.sha256,
            self.is_tile,
        )
        digest = hashlib.sha256(self.located.instance.sha256 + repr(identity).encode())
        return f'"{digest.hexdigest()[:32]}"'

    @property
    def is_animated(self) -> bool:
        """True if all frames are shown, one after the other."""
        pixels = self.located.layout.pixels
        return (
            self.options.media_type == GIF
            and self.frame_number is None
            and self.state is None
            and not self.thumbnail
            and category_of(self.located) is ResourceCategory.PICTURE
            and pixels is not None
            and pixels.number_of_frames > 1
        )

    @property
    def is_costly(self) -> bool:
        """True if the picture is costly to draw, and so worth caching."""
        pixels = self.located.layout.pixels
        if pixels is None or category_of(self.located) is not ResourceCategory.PICTURE:
            return False
        if self.options.is_special or self.state is not None or self.is_tile:
            return False
        read = pixels.length if self.is_animated else pixels.length // pixels.number_of_frames
        return read >= (COSTLY_COMPRESSED if pixels.encapsulated else COSTLY_BYTES)
