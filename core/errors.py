"""Every failure a user can meet, each a sentence with its numbers. Faces map the kinds and write no new sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self


def ended(words: object) -> str:
    """A library's words as the end of a sentence: with a full stop, unless they have an end of their own."""
    text = str(words).strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


class EngineError(Exception):
    """Base of all: `str(error)` says what happened, why, and what to do. `code` is stable, for programs."""

    code = "engine_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def detached(self) -> Self:
        """This error without its traceback and causes, whose frames would keep models and caches in memory."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class ModelNotFound(EngineError):
    """No model of that id is on disk. `near` are ids that are, and look like it."""

    code = "model_not_found"

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = tuple(near)


class ModelBroken(EngineError):
    """The model's files are incomplete, corrupt, or need code that the user has not allowed."""

    code = "model_broken"


class LoadFailed(EngineError):
    """The files are there and the library could not load them."""

    code = "load_failed"


class UnsupportedInput(EngineError):
    """The request asks for what this kind of model cannot take, such as an image to a text model."""

    code = "unsupported_input"


class InvalidRequest(EngineError):
    """A value of the request is out of range or contradicts another. `param` names the field."""

    code = "invalid_request"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidImage(EngineError):
    """Bytes that are no image, or one beyond the limits."""

    code = "invalid_image"


class ContextOverflow(EngineError):
    """The prompt does not fit the model's context window. `param` names the field, where it is not the messages."""

    code = "context_length_exceeded"

    def __init__(self, message: str, prompt_tokens: int, context_length: int, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class QueueFull(EngineError):
    """Too many requests wait already."""

    code = "queue_full"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutOfMemory(EngineError):
    """The model would not fit into the memory budget, and nothing can be evicted."""

    code = "out_of_memory"


class GenerationFailed(EngineError):
    """The library raised during a step; the rows of that batch failed with it."""

    code = "generation_failed"


class ModelUnloaded(EngineError):
    """The model was unloaded while the request waited or ran."""

    code = "model_unloaded"


class RequestCancelled(EngineError):
    """Someone on this side stopped the request: the terminal, or a server that is closing."""

    code = "request_cancelled"


class EngineClosed(EngineError):
    """The engine is closing or has died."""

    code = "engine_closed"


class SettingsError(EngineError):
    """settings.toml or an ASSAY_* variable holds a value that cannot be used."""

    code = "settings_error"


class HistoryError(EngineError):
    """The file of past chats cannot be read or written. What was in it before is untouched."""

    code = "history_error"


class FiguresError(EngineError):
    """The file of figures cannot be read or written. What was in it before is untouched."""

    code = "figures_error"


class ResponsesError(EngineError):
    """The file of responses that the API keeps cannot be read or written."""

    code = "responses_error"


class PortInUse(EngineError):
    """The API's port is taken. `free_port` is one that was free when this was raised."""

    code = "port_in_use"

    def __init__(self, message: str, port: int, free_port: int) -> None:
        super().__init__(message)
        self.port = port
        self.free_port = free_port


class HubError(EngineError):
    """The Hugging Face Hub answered with a failure of its own, or could not be reached."""

    code = "hub_error"


class HubOffline(HubError):
    """Nobody may ask the Hub (HF_HUB_OFFLINE), or nothing answers there."""

    code = "hub_offline"


class HubNotFound(HubError):
    """The Hub has no such model, revision or file, or shows it to others alone."""

    code = "hub_not_found"


class HubRefused(HubError):
    """The Hub wants a token, a better one, or a licence accepted."""

    code = "hub_refused"


class HubBusy(HubError):
    """Too many requests. `retry_after_s` is how long the Hub wants to be left alone."""

    code = "hub_busy"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HubBroken(HubError):
    """What came from the Hub does not parse, contradicts itself, or has a name that leads out of the cache."""

    code = "hub_broken"


class DiskFull(EngineError):
    """There is less room on the disk than a download needs."""

    code = "disk_full"


class ModelInUse(EngineError):
    """The model is loaded, here or by another program, or is being downloaded."""

    code = "model_in_use"
