"""Files of numbers and exemplars that siblings read."""

import errno
import os
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from obskit.metrics import pages
from obskit.metrics.pages import ExemplarPage, Page, read_exemplars
from obskit.metrics.values import Identity


def key(name, *labels):
    """Name a number as prometheus_client does."""
    return mmap_key(name, name, [f"l{n}" for n, _ in enumerate(labels)], list(labels), "Help")


def test_prometheus_client_reads_what_is_written(tmp_path):
    """The layout is its own: key, value and timestamp of each number."""
    path = tmp_path / "counter_s0.db"
    page = Page(path)
    for number in range(20):
        index = page.index(key("cds_total", f"genre{number}"))
        page.cells[index], page.cells[index + 1] = number, 0.5
    read = list(MmapedDict.read_all_values_from_file(str(path)))

    assert [(name, value, when) for name, value, when, _ in read] == [
        (key("cds_total", f"genre{number}"), number, 0.5) for number in range(20)
    ]


def test_a_name_is_found_again(tmp_path):
    """The next process in the slot goes on with the same numbers."""
    path = tmp_path / "counter_s0.db"
    first = Page(path)
    first.cells[first.index("a")] = 3
    second = Page(path)

    assert second.index("a") == first.index("a")
    assert second.cells[second.index("a")] == 3
    second.index("b")
    assert second.index("b") > second.index("a")


def test_a_page_grows_and_old_cells_stay_good(tmp_path):
    """Whoever holds cells of the smaller map goes on writing to the same file."""
    page = Page(tmp_path / "counter_s0.db")
    cells, index = page.cells, page.index("first")
    for number in range(3000):
        page.index(key("cds_total", f"{number:040}"))
    cells[index] = 42

    assert (tmp_path / "counter_s0.db").stat().st_size > pages.FIRST_SIZE
    assert page.cells[page.index("first")] == 42
    assert Page(tmp_path / "counter_s0.db").index("first") == index


@given(st.lists(st.text(max_size=60), max_size=30))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_name_can_be_kept(tmp_path_factory, names):
    """Each has cells of its own, whatever its length in bytes."""
    path = tmp_path_factory.mktemp("page") / "counter_s0.db"
    names = [name.encode("utf-8", "replace").decode() for name in names]
    page = Page(path)
    places = {name: page.index(name) for name in names}

    assert len(set(places.values())) == len(places)
    assert places == {name: Page(path).index(name) for name in names}


def test_a_full_disk_is_an_error_not_a_crash(tmp_path, monkeypatch):
    """Space is there before it is mapped: writing to a hole would end the process."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    page = Page(tmp_path / "counter_s0.db")
    monkeypatch.setattr(pages.os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        Page(tmp_path / "gauge_s0.db")
    with pytest.raises(OSError, match="No space left"):
        for number in range(5000):
            page.index(key("cds_total", f"{number:040}"))

    page.cells[page.index(key("cds_total", f"{0:040}"))] = 1


def test_a_link_is_not_followed(tmp_path):
    """Nobody makes us write to a file of his choice."""
    tmp_path.joinpath("counter_s0.db").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError):
        Page(tmp_path / "counter_s0.db")
    assert not tmp_path.joinpath("elsewhere").exists()


def exemplar(text="abc", value=0.5, timestamp=1.0):
    """Return an exemplar."""
    return SimpleNamespace(labels={"trace_id": text}, value=value, timestamp=timestamp)


def identity(label="GET", sample="x_bucket"):
    """Return the identity of a number."""
    return Identity("histogram", "x", sample, ("method", "le"), (label, "0.5"), "Help", "")


def test_an_exemplar_replaces_the_last_one(tmp_path):
    """Each number has the latest, with its labels."""
    path = tmp_path / "s0.exemplars"
    page = ExemplarPage(path)
    page.keep(identity(), exemplar("old"))
    page.keep(identity("POST"), exemplar("other"))
    page.keep(identity(), exemplar("new"))

    assert list(read_exemplars(path)) == [
        ("x_bucket", {"method": "GET", "le": "0.5"}, {"trace_id": "new"}, 0.5, 1.0),
        ("x_bucket", {"method": "POST", "le": "0.5"}, {"trace_id": "other"}, 0.5, 1.0),
    ]


def test_exemplars_are_bounded(tmp_path):
    """More than there is room for are left out, as is one that is too long."""
    path = tmp_path / "s0.exemplars"
    page = ExemplarPage(path)
    page.keep(identity("x" * 600), exemplar())
    for number in range(pages.MOST_RECORDS + 100):
        page.keep(identity(str(number)), exemplar())

    assert path.stat().st_size <= pages.MOST_RECORDS * pages.RECORD
    assert len(list(read_exemplars(path))) == pages.MOST_RECORDS


def test_exemplars_outlive_their_process(tmp_path):
    """The next process in the slot replaces those of its own numbers only."""
    path = tmp_path / "s0.exemplars"
    first = ExemplarPage(path)
    for label in ("a", "b", "c"):
        first.keep(identity(label), exemplar(label))
    first._map[pages.RECORD + 3 : pages.RECORD + 10] = b'"]]}{{,'  # killed while it wrote
    second = ExemplarPage(path)
    second.keep(identity("d"), exemplar("d"))
    second.keep(identity("a"), exemplar("newer"))

    found = [record[2]["trace_id"] for record in read_exemplars(path)]
    assert found == ["newer", "c", "d"]


def test_an_exemplar_that_is_half_written_is_skipped(tmp_path):
    """Readers do not wait for writers."""
    path = tmp_path / "s0.exemplars"
    page = ExemplarPage(path)
    for label in ("a", "b", "c"):
        page.keep(identity(label), exemplar(label))
    page._map[pages.RECORD + 3 : pages.RECORD + 10] = b'"]]}{{,'

    assert [record[2]["trace_id"] for record in read_exemplars(path)] == ["a", "c"]
