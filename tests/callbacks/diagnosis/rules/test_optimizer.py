import keras
import pytest

O = keras.optimizers  # noqa: E741


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (O.Adam(1e-3), []),
        (O.Adam(1e-2), []),
        (O.Adam(1e-5), []),
        (O.Adam(1.0), ["learning_rate_too_high"]),
        (O.Adam(1e-8), ["learning_rate_too_low"]),
        (O.Adam(0.0), ["learning_rate_too_low"]),
        (O.Adam(O.schedules.CosineDecay(0.0, 10, warmup_target=1e-3)), []),
        (O.SGD(0.1, momentum=0.9), []),
        (O.SGD(0.1, momentum=0.999), ["unfit_optimizer"]),
        (O.SGD(0.1, clipnorm=1.0), []),
        (O.SGD(0.1, clipnorm=1e-5), ["unfit_optimizer"]),
        (O.SGD(0.1, clipvalue=0.5), []),
        (O.Adadelta(), ["unfit_optimizer"]),
        (O.Adadelta(1.0), []),
        (O.Adam(1e-3, beta_1=0.5), []),
        (O.Adam(1e-3, beta_1=0.9, beta_2=0.1), ["unfit_optimizer"]),
        (O.Adam(1e-3, epsilon=1e-3), []),
        (O.Adam(1e-3, epsilon=10.0), ["unfit_optimizer"]),
        (O.AdamW(1e-3, weight_decay=0.1), []),
        (O.AdamW(1e-3, weight_decay=10.0), ["over_regularized"]),
        (O.RMSprop(1e-3), []),
    ],
)
def test_settings_of_optimizers(compiled, dense, found, table, optimizer, expected):
    model = compiled(dense(64), dense(64), dense(3, "softmax"), optimizer=optimizer)
    assert [one for one, _ in found(model, *table)] == expected
