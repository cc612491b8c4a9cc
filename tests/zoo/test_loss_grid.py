import numpy as np
import pytest

from zoo.loss_grid import LossGrid

STEPS = np.array([-1.0, 0.0, 1.0])
LOSSES = np.array([[3.0, 2.0, 5.0], [1.0, 0.5, 2.0], [4.0, 8.0, 100.0]])

pytestmark = pytest.mark.one_backend


def test_the_frame_has_a_row_for_each_point():
    frame = LossGrid(STEPS, LOSSES).to_frame()
    assert list(frame) == ["step_1", "step_2", "loss"]
    row = frame[(frame.step_1 == 1) & (frame.step_2 == -1)]
    assert row.loss.item() == 4.0  # losses[2, 0]
    assert list(LossGrid(STEPS, LOSSES[0]).to_frame()) == ["step_1", "loss"]


def test_the_center_is_the_loss_of_the_model():
    assert LossGrid(STEPS, LOSSES).center == 0.5
    assert LossGrid(STEPS, LOSSES[0]).center == 2.0


def test_the_contours_have_the_first_direction_to_the_right():
    figure = LossGrid(STEPS, LOSSES).plot()
    surface, contour, bar = figure.axes
    assert (surface.get_xlabel(), contour.get_ylabel()) == ("step 1", "step 2")
    filled = contour.collections[0]
    x, y = np.meshgrid(STEPS, STEPS, indexing="ij")
    top = np.unravel_index(LOSSES.argmax(), LOSSES.shape)
    assert (x[top], y[top]) == (1, 1)
    # The lowest level contains the model, and the highest one the upper right corner.
    paths = [path for path in filled.get_paths() if len(path)]
    assert paths[0].contains_point((0, 0))
    assert paths[-1].get_extents().x1 == pytest.approx(1)
    assert paths[-1].get_extents().x0 > 0
    assert bar.get_ylabel() == "loss"


def test_limits_are_those_of_the_colors():
    figure = LossGrid(STEPS, LOSSES).plot(limits=(0.1, 10.0))
    filled = figure.axes[1].collections[0]
    assert (filled.norm.vmin, filled.norm.vmax) == (0.1, 10.0)
    assert figure.axes[0].get_zlim() == pytest.approx((-1, 1), abs=0.1)


@pytest.mark.parametrize("losses", [LOSSES, LOSSES[0]])
@pytest.mark.parametrize(
    "change", [lambda x: x - 2, lambda x: np.where(x > 4, np.inf, x)]
)
def test_losses_below_zero_and_infinite_ones_are_plotted(losses, change):
    figure = LossGrid(STEPS, change(losses)).plot()
    figure.canvas.draw()


def test_a_flat_surface_is_plotted():
    LossGrid(STEPS, np.ones((3, 3))).plot().canvas.draw()


def test_errors():
    for limits in (1.0, (2.0, 1.0), (0.0, np.nan), (1.0, 2.0, 3.0)):
        with pytest.raises(ValueError, match="`limits`. Expected a pair"):
            LossGrid(STEPS, LOSSES).plot(limits=limits)
    with pytest.raises(ValueError, match="Expected at least one that is finite"):
        LossGrid(STEPS, np.full(3, np.nan)).plot()
