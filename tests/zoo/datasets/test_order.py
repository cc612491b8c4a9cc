import numpy as np
import pytest

from zoo.datasets import Order

pytestmark = pytest.mark.one_backend


def test_every_counter_gives_another_permutation():
    order = Order(seed=0)
    seen = [order.next_permutation(100) for _ in range(20)]
    for permutation in seen:
        np.testing.assert_array_equal(np.sort(permutation), np.arange(100))
    assert len({tuple(permutation) for permutation in seen}) == 20


def test_order_is_a_function_of_seed_and_counter_alone():
    order = Order(seed=3)
    first = [order.next_permutation(50) for _ in range(4)]
    np.random.seed(1)
    order.counter = 2
    np.testing.assert_array_equal(order.next_permutation(50), first[2])
    assert order.counter == 3
    np.testing.assert_array_equal(Order(seed=3).permutation(50, counter=1), first[1])


def test_nearby_seeds_share_no_order():
    orders = {
        tuple(Order(seed).permutation(30, counter))
        for seed in range(10)
        for counter in range(10)
    }
    assert len(orders) == 100


def test_shuffle_seeds_differ_and_repeat():
    order = Order(seed=0)
    seeds = [int(order.next_shuffle_seed()) for _ in range(10)]
    order.counter = 0
    assert [int(order.next_shuffle_seed()) for _ in range(10)] == seeds
    assert len(set(seeds)) == 10


@pytest.mark.parametrize("seed", [-1, 1.5, None, "a", True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="`seed`. Expected an integer >= 0"):
        Order(seed)


@pytest.mark.parametrize("counter", [-1, 0.5])
def test_bad_counter(counter):
    with pytest.raises(ValueError, match="`counter`. Expected an integer >= 0"):
        Order(0).counter = counter
