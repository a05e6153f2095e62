"""Which model a command takes when none is named."""

from pathlib import Path

from sentneuron.core.errors import InputNotFoundError

LOCAL_MODEL = Path("model.pt")
LOCAL_CLASSIFIER = Path("model_transfer/classifier.pt")
PRETRAINED = Path(__file__).parents[2] / "pretrained" / "classifier.pt"


def find_language_model(requested: str | None) -> tuple[Path, str]:
    """Return the path of the model that `transfer` takes features from, and how to call it: the one asked for, the one
    that `train` left here, the pretrained one.

    Raises:
        InputNotFoundError: the package holds none.
    """
    if requested is not None:
        return Path(requested), requested
    return (LOCAL_MODEL, str(LOCAL_MODEL)) if LOCAL_MODEL.exists() else _pretrained()


def find_start(requested: str) -> tuple[Path, str]:
    """Return the path of the model that `train` starts from, and how to call it: a file, or the pretrained one.

    Raises:
        InputNotFoundError: the package holds none.
    """
    return _pretrained() if requested == "pretrained" else (Path(requested), requested)


def find_model(requested: str | None) -> tuple[Path, str]:
    """Return the model's path and how to call it on the first line: the one asked for, the one here, the pretrained
    one.

    Raises:
        InputNotFoundError: the one asked for does not exist, or the package holds none.
    """
    if requested is not None:
        if not Path(requested).exists():
            raise InputNotFoundError(f"model {requested} does not exist", hint="check --model")
        return Path(requested), requested
    if LOCAL_CLASSIFIER.exists():
        return LOCAL_CLASSIFIER, str(LOCAL_CLASSIFIER)
    return _pretrained()


def _pretrained() -> tuple[Path, str]:
    if not PRETRAINED.exists():
        raise InputNotFoundError("this installation holds no pretrained model", hint="name one")
    return PRETRAINED, "the pretrained model"
