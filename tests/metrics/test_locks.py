"""Files that are held, and who holds them."""

import os

from obskit.metrics import locks


def test_a_lock_says_who_has_it(tmp_path):
    """It is had by one at a time, and free as soon as its holder ends."""
    path = tmp_path / "port.lock"
    lock = locks.take(path)
    assert int(path.read_text()) == os.getpid()
    assert locks.take(path) is None
    assert locks.is_held(path)
    lock.close()
    assert not locks.is_held(path)
    assert not locks.is_held(tmp_path / "nothing")


def test_a_signature_covers_the_last_one(tmp_path):
    """A reader never finds half of one and half of another, however long they are."""
    path = tmp_path / "slot0.lock"
    path.write_text("4194304 idle    ")
    lock = locks.take(path)
    assert path.read_text().split() == [str(os.getpid())]
    lock.sign(idle=True)
    assert path.read_text().split() == [str(os.getpid()), locks.IDLE]
    lock.close()
    lock = locks.take(path, idle=True)
    assert path.read_text().split() == [str(os.getpid()), locks.IDLE]
    lock.close()


def test_a_folder_is_held_by_many(tmp_path):
    """It is held until the last of them lets go."""
    first, second = locks.hold(tmp_path), locks.hold(tmp_path)
    first.close()
    assert locks.is_held(tmp_path)
    second.close()
    assert not locks.is_held(tmp_path)


def test_a_file_of_the_programs_own_is_not_touched(tmp_path):
    """Who becomes a daemon closes all descriptors, and opens files under the same numbers."""
    lock = locks.take(tmp_path / "slot0.lock")
    os.close(lock._descriptor)
    own = os.open(tmp_path / "own", os.O_RDWR | os.O_CREAT)
    if own != lock._descriptor:
        os.dup2(own, lock._descriptor)
        os.close(own)
    assert not lock.is_ours()
    lock.sign()
    lock.close()

    os.write(lock._descriptor, b"mine")
    os.close(lock._descriptor)
    assert (tmp_path / "own").read_bytes() == b"mine"


def test_what_was_closed_by_others_is_no_error(tmp_path):
    """Closing twice harms nothing."""
    lock = locks.take(tmp_path / "slot0.lock")
    lock.close()
    lock.sign()
    lock.close()

    assert not lock.is_ours()
