"""Work side by side: all of it, errors included, and BLAS left as it was."""

from threading import Barrier

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from labelcut.problems.threads import one_blas_thread, side_by_side


def blas_threads():
    """Return how many threads NumPy's BLAS may take; SciPy's may have been loaded since."""
    every = [info for info in threadpool_info() if info["user_api"] == "blas"]
    own = [info for info in every if "numpy" in info["filepath"]]
    return max(info["num_threads"] for info in own or every)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_task_is_done_once_while_blas_takes_one_thread(threads):
    """Blocks left out would keep old numbers, and BLAS's own threads wait for each other."""
    done = []
    with threadpool_limits(threads, user_api="blas"):
        side_by_side(lambda task: done.append((task, blas_threads())), range(100))
        assert blas_threads() == threads
    assert sorted(done) == [(task, 1) for task in range(100)]


def test_tasks_run_at_the_same_time():
    """Tasks in turn would use one core: each of these waits for the other."""
    barrier = Barrier(2, timeout=60)
    with threadpool_limits(2, user_api="blas"):
        side_by_side(lambda _: barrier.wait(), range(2))


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_of_any_thread_is_raised(bad):
    """A block that failed would pass for measured."""
    barrier = Barrier(2, timeout=60)

    def work(task):
        barrier.wait()
        if task == bad:
            raise ValueError(f"task {task}")

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match=f"task {bad}"):
            side_by_side(work, range(2))
        assert blas_threads() == 2


@pytest.mark.parametrize("threads", [1, 3])
def test_a_look_at_the_clock_ends_it(threads):
    """A time limit would only hold once all blocks are done."""
    done = []

    def late():
        if done:
            raise TimeoutError

    with threadpool_limits(threads, user_api="blas"):
        with pytest.raises(TimeoutError):
            side_by_side(done.append, range(1_000_000), late)
        assert blas_threads() == threads
    assert len(done) < 1_000_000


def test_a_block_within_a_block_knows_what_blas_had_before():
    """The inner one would take the outer one's single thread for all there are, or give it back."""
    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread() as outer:
            with one_blas_thread() as inner:
                assert (outer, inner) == (2, 2)
            assert blas_threads() == 1
        assert blas_threads() == 2
