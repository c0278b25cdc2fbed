"""The Hub of the tests is one that huggingface_hub's own client gets along with."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi, errors, snapshot_download

from tests.hub import Fault, Hub, Repository, pocket_repository


def test_the_librarys_own_download_works_and_is_counted(hub: Hub, tmp_path: Path) -> None:
    folder = Path(
        snapshot_download("mlx-community/qwen3", cache_dir=tmp_path, allow_patterns=["*.json", "*.safetensors"])
    )
    files = hub.repositories["mlx-community/qwen3"].commits[-1]
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"].content
    assert hub.served["mlx-community/qwen3/model.safetensors"] == files["model.safetensors"].size
    assert folder.name == hub.repositories["mlx-community/qwen3"].sha()
    assert not (folder / "pytorch_model.bin").exists()


def test_it_searches_sorts_filters_and_pages(hub: Hub) -> None:
    others = [
        Repository(f"someone/tiny-{n}", [{}], downloads=n, tags=("mlx", "odd") if n % 2 else ("mlx",)) for n in range(7)
    ]
    hub.add(*others)
    hub.page = 3
    found = [model.id for model in HfApi().list_models(search="tiny", sort="downloads")]
    assert found == [f"someone/tiny-{n}" for n in reversed(range(7))]
    assert len(hub.paths("api/models")) == 3
    assert [model.id for model in HfApi().list_models(filter=["mlx", "odd"], limit=2)] == [
        "someone/tiny-5",
        "someone/tiny-3",
    ]


def test_models_say_their_files_sizes_and_commits(hub: Hub) -> None:
    about = HfApi().model_info("mlx-community/qwen3", files_metadata=True)
    weights = next(file for file in about.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert weights.lfs.sha256 == hub.repositories["mlx-community/qwen3"].commits[-1]["model.safetensors"].sha256
    assert HfApi().list_repo_commits("mlx-community/qwen3")[0].commit_id == about.sha
    assert {entry.path for entry in HfApi().list_repo_tree("mlx-community/qwen3")} >= {"config.json"}


def test_gated_private_and_missing_are_what_the_library_knows(hub: Hub, tmp_path: Path) -> None:
    hub.add(pocket_repository("gemma3", gated="manual"), Repository("me/mine", [{}], private=True))
    with pytest.raises(errors.GatedRepoError):
        snapshot_download("mlx-community/gemma3", cache_dir=tmp_path)
    for name in ("me/mine", "me/nothing"):
        with pytest.raises(errors.RepositoryNotFoundError):
            HfApi().model_info(name)
    with pytest.raises(errors.RevisionNotFoundError):
        HfApi().model_info("mlx-community/qwen3", revision="v9")
    hub.faults["api/models/mlx-community/qwen3"] = Fault(429, {"Retry-After": "7"})
    with pytest.raises(errors.HfHubHTTPError) as caught:
        HfApi().model_info("mlx-community/qwen3")
    assert caught.value.response.headers["Retry-After"] == "7"
