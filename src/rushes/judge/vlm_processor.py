"""The processor of a vision-language model; if its video part cannot be loaded, it takes only images."""

from __future__ import annotations

import warnings
from typing import Any, Final

_VIDEO: Final = "video_processor"
NO_VIDEO = (
    "the video processor of {model} cannot be loaded here ({reason}), so its judge is shown a clip's frames as images"
)


def load_processor(place: str, options: dict[str, Any]) -> Any:
    """The processor of a folder or Hub id, without its video part if that needs a package that is not installed.

    Args:
        place: the path or id for `from_pretrained`.
        options: its keyword arguments.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    try:
        return AutoProcessor.from_pretrained(place, **options)
    except (ImportError, ValueError) as error:
        # A folder that does not name its video processor (InternVL3's do not) gets a ValueError instead.
        if isinstance(error, ValueError) and "torchvision" not in str(error):
            raise
        said = str(error).replace(place, "it")
        reason = next((line for line in said.splitlines() if line.strip()), "import error")
    config = AutoConfig.from_pretrained(place, **options)
    kind = PROCESSOR_MAPPING.get(type(config), None)
    if kind is None:
        raise ImportError(f"{reason}; and there is no processor for {type(config).__name__} to do without it")
    processor = _without_video(kind).from_pretrained(place, **options)
    warnings.warn(NO_VIDEO.format(model=place, reason=_first_sentence(reason)), stacklevel=2)
    return processor


def _first_sentence(text: str) -> str:
    return text.strip().split(" but it was")[0].split(". ")[0][:120]


def _without_video(kind: Any) -> Any:
    """A processor class that is `kind` without the part for videos.

    Its `__init__` must stay that of `kind`: transformers reads from its signature which settings it takes.
    """
    from transformers.processing_utils import ProcessorMixin

    parts = kind.get_attributes()
    others = classmethod(lambda cls: [name for name in parts if name != _VIDEO])
    loader = type(kind.__name__, (kind,), {"get_attributes": others})

    class ImagesOnly(kind):  # type: ignore[misc]
        """The same processor for images and text."""

        @classmethod
        def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
            found = list(loader._get_arguments_from_pretrained(*args, **kwargs))  # type: ignore[attr-defined]
            found.insert(parts.index(_VIDEO), None)
            return found

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == _VIDEO and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

        def apply_chat_template(self, *args: Any, **kwargs: Any) -> Any:
            # SmolVLM's own method reads settings of its video part.
            return ProcessorMixin.apply_chat_template(self, *args, **kwargs)

    ImagesOnly.__name__ = kind.__name__
    return ImagesOnly
