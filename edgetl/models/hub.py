"""timm's pretrained weights from the Hugging Face hub: cached, else downloaded, as safetensors only.

With no network the hub's client retries for almost a minute; one short request first tells the user at once.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import timm
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from edgetl.errors import EnvironmentFault, UsageError

__all__ = ["fetch"]

_FILE = "model.safetensors"
_PROBE_SECONDS = 3.0


def fetch(backbone: str) -> tuple[Path, str]:
    """The file with timm's weights for a backbone, and the hub's name of it.

    The backbone's tag (`mobilenetv3_small_100.lamb_in1k`) decides which weights; without one it is timm's default.

    Raises:
        UsageError: timm has no weights for it.
        EnvironmentFault: not cached, and the hub cannot be reached or does not give the file.
    """
    config = timm.models.get_pretrained_cfg(backbone)
    if config is None or not config.hf_hub_id:
        raise UsageError(f"weights: timm's hub has none for {backbone}", hint="weights: none starts from random ones")
    repository, name = config.hf_hub_id, config.hf_hub_filename or _FILE
    cached = try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return Path(cached), repository
    _probe(backbone)
    try:
        return Path(hf_hub_download(repository, name)), repository
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        raise EnvironmentFault(
            f"weights: the hub did not give {repository}/{name} ({type(exc).__name__})",
            hint="try again, or give the path of a downloaded file as weights",
        ) from exc


def _probe(backbone: str) -> None:
    """One HEAD request, through the user's proxy if there is one; any answer will do."""
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
    except urllib.error.HTTPError as exc:
        exc.close()
    except OSError as exc:
        raise EnvironmentFault(
            f"weights: hub was asked for {backbone}, but {constants.ENDPOINT} cannot be reached ({exc})",
            hint="weights: package needs no network where a package exists (tf_efficientnet_lite0);"
            " weights: none starts from random ones; or give the path of a file",
        ) from exc
