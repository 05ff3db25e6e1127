"""`omni bench knowledge` prints its figures; how large they are is for a machine of one's own."""

import pytest

pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

from word_embedder import WordEmbedder

from eval.instruments.bench.knowledge import main
from service.kit.settings import Settings


def test_it_prints_times_memory_and_the_bound_and_keeps_the_index(tmp_path, capsys):
    settings = Settings(state_dir=tmp_path)
    embedder = WordEmbedder()
    assert main(settings, embedder, lambda done, total: None, passages=60) in (0, 1)
    first = capsys.readouterr().out
    for figure in (
        "built in",
        "60 passages",
        "search, 10 results",
        "of it the embedding",
        "peak memory",
        "bound 25 ms",
    ):
        assert figure in first
    built = (tmp_path / "knowledge" / "bench.sqlite").stat().st_mtime_ns
    main(settings, embedder, lambda done, total: None, passages=60)
    assert "built in" not in capsys.readouterr().out
    assert (tmp_path / "knowledge" / "bench.sqlite").stat().st_mtime_ns == built
