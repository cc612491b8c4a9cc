import numpy as np
from keras import ops

from zoo.adversarial import PGD
from zoo.adversarial.attacks.batch_slots import BatchSlots
from zoo.adversarial.attacks.search import begin_search, continue_search
from zoo.adversarial.classifier.classifier import Classifier


def slots_of(rows, size, **options):
    x, y = np.arange(20.0, dtype="float32").reshape(10, 2), np.arange(10)
    attack = PGD(0.1, bounds=(0, 20), **options)
    return BatchSlots(attack, x, y, np.array(rows), size)


def test_an_example_that_is_done_makes_room_for_the_next():
    slots = slots_of([2, 5, 7, 8], size=3)
    assert slots.fill()
    np.testing.assert_array_equal(slots.rows, [2, 5, 7])
    left = slots.leave(np.array([True, False, True]), np.array([False, True, False]))
    np.testing.assert_array_equal(np.stack(left), [[1], [5], [1]])
    assert slots.fill()
    np.testing.assert_array_equal(slots.rows, [2, 8, 7])
    np.testing.assert_array_equal(slots.is_fresh, [False, True, False])
    x, y, *_, taken, _, waiting = slots.arguments()
    np.testing.assert_array_equal(x, [[4, 5], [16, 17], [14, 15]])
    np.testing.assert_array_equal(y, [2, 8, 7])
    assert taken.all()
    assert not waiting
    slots.leave(np.zeros(3, bool), np.ones(3, bool))
    assert not slots.fill()


def test_what_withstands_waits_for_its_next_restart():
    slots, done = slots_of([1, 4], size=1, restarts=3), []
    wins = {(4, 1)}  # the second restart breaks example 4
    restarts = dict.fromkeys([1, 4], 0)
    while slots.fill():
        (row,) = slots.rows
        key = (int(row), restarts[row])
        noise = slots.arguments()[3]
        expected = PGD(0.1).noise((2,), np.array([key[1]]), np.array([row]))
        np.testing.assert_array_equal(noise, expected)
        _, _, share = slots.leave(np.array([False]), np.array([key in wins]))
        restarts[row] += int(share[0])
        done.append(key)
    assert done == [(1, 0), (4, 0), (1, 1), (4, 1), (1, 2)]
    assert restarts == {1: 3, 4: 3}  # of both all restarts are done with


def test_a_search_rests_when_a_quarter_is_done_and_others_wait(linear):
    model, difference = linear
    attack = PGD(0.3, steps=50, step_size=0.001, random_start=False)
    x = np.full((8, 5), 0.5, "float32")
    # Example i needs about 2 * i steps to the boundary.
    distance = 0.002 * np.arange(8) + 0.0005
    x += (distance * np.sign(difference)[:, None]).T.astype("float32")
    x -= ((0.5 * difference.sum()) / (difference @ difference)) * difference
    inputs, labels = (ops.convert_to_tensor(a) for a in (x, np.ones(8, "int32")))
    target, settings = Classifier(model), attack.settings()

    def rest(waiting):
        active, noise = ops.ones(8, dtype="bool"), ops.zeros((8, 5))
        found = begin_search(attack, inputs, active, noise, settings)
        found = continue_search(
            attack, target.logits, inputs, labels, 0, found, waiting, settings
        )
        return [np.asarray(ops.convert_to_numpy(found[k])) for k in ("index", "points")]

    steps, points = rest(waiting=0)
    np.testing.assert_array_equal(steps, 2 * np.arange(8) + 2)
    np.testing.assert_array_equal(points @ difference < 0, True)
    steps, _ = rest(waiting=1)
    np.testing.assert_array_equal(steps, [2, *[4] * 7])
