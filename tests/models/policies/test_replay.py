"""The memory draws as the formulas say, forgets the oldest, and goes on where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut.models.policies import Replay, annealed

ERRORS = np.array([0.5, 2.0, 0.0, 1.0])


def filled(exponent=0.6, **options):
    """Return a memory of four experiences with known errors."""
    memory = Replay(8, exponent=exponent, **options)
    memory.add(number=np.arange(4.0))
    memory.update(np.arange(4), ERRORS)
    return memory


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_probabilities_and_weights_follow_their_formulas(errors, exponent, correction):
    """Rare rewards would be seen too seldom, or their bias not be taken out (000 eq. 23, 24)."""
    memory = Replay(8, exponent=exponent, small=1e-3)
    memory.add(number=np.arange(float(len(errors))))
    memory.update(np.arange(len(errors)), np.array(errors))
    scaled = [(abs(error) + 1e-3) ** exponent for error in errors]
    expected = np.array(scaled) / sum(scaled)
    np.testing.assert_allclose(memory.probabilities(), expected, rtol=1e-12)
    drawn = memory.draw(20, correction)
    every = [(1 / len(errors) / p) ** correction for p in expected]
    np.testing.assert_allclose(
        drawn.weights, [every[place] / max(every) for place in drawn.places], rtol=1e-5
    )
    np.testing.assert_array_equal(drawn.rows["number"], drawn.places)


def test_draws_come_as_often_as_their_probability_says():
    """The search in the sums would be off by one."""
    memory = filled(seed=3)
    drawn = memory.draw(40_000)
    counts = np.bincount(drawn.places, minlength=4)
    p = memory.probabilities()
    spread = np.sqrt(40_000 * p * (1 - p))
    assert (np.abs(counts - 40_000 * p) < 4.5 * spread).all()
    assert p.max() > 2 * p.min()


def test_an_exponent_of_zero_draws_evenly():
    """The uniform memory of RALIS would prefer some experiences."""
    memory = filled(exponent=0.0)
    np.testing.assert_allclose(memory.probabilities(), 0.25)
    np.testing.assert_allclose(memory.draw(10, 0.7).weights, 1.0)


def test_full_correction_makes_weighted_draws_unbiased():
    """With ζ = 1 the weighted mean must estimate the plain mean of what is remembered."""
    memory = filled(seed=1)
    drawn = memory.draw(60_000, 1.0)
    estimate = (drawn.weights * drawn.rows["number"]).sum() / drawn.weights.sum()
    assert estimate == pytest.approx(1.5, abs=0.05)


def test_new_experiences_have_the_largest_priority():
    """What was just seen might never be learned from."""
    memory = filled()
    memory.add(number=np.array([9.0]))
    p = memory.probabilities()
    assert p[4] == p[:4].max()


def test_the_oldest_give_way():
    """A full memory would stop learning, or forget what is new."""
    memory = Replay(4)
    for number in range(7):
        memory.add(number=np.array([float(number)]))
    assert len(memory) == 4
    assert set(memory.draw(200).rows["number"]) == {3.0, 4.0, 5.0, 6.0}


def test_more_than_fits_keeps_the_last():
    """One large addition would write some places twice."""
    memory = Replay(3)
    memory.add(number=np.arange(10.0))
    assert len(memory) == 3
    assert set(memory.draw(200).rows["number"]) == {7.0, 8.0, 9.0}


def test_a_memory_goes_on_where_it_was_saved():
    """Training that is resumed would draw other experiences."""
    memory = filled(seed=5)
    memory.draw(3)
    again = Replay(8, exponent=0.6, seed=77)
    again.load_state_dict(memory.state_dict())
    for one in (memory, again):
        one.add(number=np.array([5.0, 6.0]))
    first, second = memory.draw(50, 0.5), again.draw(50, 0.5)
    np.testing.assert_array_equal(first.places, second.places)
    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.rows["number"], second.rows["number"])


def test_a_larger_memory_takes_a_full_ring_over():
    """Experiences that never were would be drawn, and the newest be overwritten first."""
    full = Replay(4, small=0.0)
    full.add(number=np.arange(1.0, 5.0))
    full.add(number=np.array([5.0, 6.0]))  # 3 to 6 are left, the ring begins in its middle
    full.update(np.arange(4), np.array([5.0, 6.0, 3.0, 4.0]))
    larger = Replay(6, exponent=1.0, small=0.0)
    larger.load_state_dict(full.state_dict())
    np.testing.assert_allclose(larger.probabilities(), np.arange(3, 7) / 18)
    larger.add(number=np.array([7.0, 8.0]))
    assert set(larger.draw(400).rows["number"]) == {3.0, 4.0, 5.0, 6.0, 7.0, 8.0}
    larger.add(number=np.array([9.0]))
    assert set(larger.draw(400).rows["number"]) == {4.0, 5.0, 6.0, 7.0, 8.0, 9.0}


def test_nan_in_errors_leaves_the_memory_as_it_was():
    """The memory would be lost together with the network."""
    memory = filled()
    before = memory.probabilities()
    with pytest.raises(ValueError, match="errors: must be finite"):
        memory.update(np.arange(2), np.array([1.0, np.nan]))
    np.testing.assert_array_equal(memory.probabilities(), before)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"other": np.zeros(2)}, "must give number; other came"),
        ({"number": np.array([np.nan])}, "number must be finite"),
        ({"number": np.zeros((2, 3))}, r"rows of shape \(\); \(3,\) came"),
    ],
)
def test_rows_of_another_form_are_refused(rows, words):
    """Experiences of two kinds would mix."""
    with pytest.raises(ValueError, match=words):
        filled().add(**rows)


def test_arrays_of_two_lengths_are_refused():
    """Features would be paired with another pick's reward."""
    with pytest.raises(ValueError, match="must have one length"):
        Replay(4).add(a=np.zeros(2), b=np.zeros(3))


def test_nothing_to_draw_from_is_an_error():
    """An empty memory would return garbage."""
    with pytest.raises(ValueError, match="nothing to draw from"):
        Replay(4).draw(1)


def test_a_memory_too_small_for_what_was_saved_is_refused():
    """Half of the experiences would vanish in silence."""
    with pytest.raises(ValueError, match="must hold the 4 experiences saved; it is 2"):
        Replay(2).load_state_dict(filled().state_dict())


def test_annealing_goes_from_start_to_end_and_stays():
    """ζ would exceed 1, or never reach it."""
    assert [annealed(0.4, 1.0, done, 10) for done in (0, 5, 10, 15)] == [0.4, 0.7, 1.0, 1.0]
