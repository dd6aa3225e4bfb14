"""Compiled kernels: they run where their machine code can be kept, and where it cannot."""

import numba.core.caching
from siftrl.sparse.compiled import compiled


def test_without_a_place_to_keep_it_code_is_compiled_all_the_same(monkeypatch):
    # What numba finds in a read-only installation whose user has no home that can be written to.
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    @compiled()
    def total(n):
        return n * (n + 1) // 2

    assert total(10) == 55
    assert total.signatures


def test_code_is_kept_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @compiled()
    def total(n):
        return n * (n + 1) // 2

    assert total(10) == 55
    assert list(tmp_path.rglob("*.nbc"))
