"""Metrics: what is counted."""

from repoman.metrics import BUCKETS_S, Durations


def test_a_duration_counts_up_to_the_bound_that_it_does_not_exceed():
    durations = Durations()
    for seconds in (0.0, BUCKETS_S[0], BUCKETS_S[0] * 1.01, BUCKETS_S[-1], BUCKETS_S[-1] * 2):
        durations.add(seconds, 1)
    assert durations.counts[:2] == [2, 1]
    assert durations.counts[-2:] == [1, 1]
    assert durations.count == 5
    assert durations.longest == BUCKETS_S[-1] * 2
