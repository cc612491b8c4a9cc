import keras

from zoo.utils.devices import list_devices


def test_it_names_what_keras_computes_on():
    devices = list_devices()
    platform = str(getattr(keras.ops.zeros(()), "device", "cpu")).lower()
    if "cpu" in platform:
        (name,) = devices
        assert name.startswith("CPU (")
    else:
        assert devices
        assert not any(name.startswith("CPU") for name in devices)
