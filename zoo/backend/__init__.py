"""Code that depends on the Keras backend.

The modules `tensorflow`, `jax` and `torch` implement the same functions. This package
exports those of the active backend:

- `COMPILES`: Whether `compile_stateless` compiles functions, which are then traced
  before anything is computed.
- `accelerators()`: Returns a list of the names of the accelerators that Keras uses, for
  example `["GPU NVIDIA H200"]`; the list is empty if Keras runs on a CPU.
- `compile_stateless(function, variables)`: Compiles a function of two arguments, the
  values of `variables` and a tuple of tensors. Returns a function of the tensors only.
  On TensorFlow and PyTorch, where the function can read the variables itself, it
  receives `None` instead of the values.
- `differentiate(function, inputs)`: Takes a function that maps a list of tensors,
  `inputs`, to a tensor and an auxiliary tensor. Returns the tensor, a list of the
  gradients of its sum with respect to `inputs`, and the auxiliary tensor, which is not
  differentiated. Gradients with respect to unused inputs are zero.
- `enable_float64()`: Returns a context in which the backend does not downcast float64.
- `preserve_generator()`: Returns a context that restores the state of the backend's
  own random generator on exit.
- `same_trace()`: Returns a function that tells whether a tensor belongs to the trace in
  which `same_trace` was called.
- `gradient_registry()`: Returns the dict in which the backend keeps custom gradients
  and their graphs until the process ends. The dict is empty if the backend has no such
  registry.
- `transform_batch(model, function, arguments)`: Applies a function to the batch of a
  training or test step, for example to perturb the inputs. `arguments` are the
  arguments of `train_step` or `test_step`, and the result is passed to Keras' own
  `train_step` or `test_step`. The function may assign variables of the model. No
  gradients are computed through the function.

The subpackages have the same structure: `train_step` runs callbacks inside the training
step of `fit`, and `tensor_statistics` computes norms and counts magnitudes.
"""

import importlib

import keras

_module = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

COMPILES: bool = _module.COMPILES
accelerators = _module.accelerators
compile_stateless = _module.compile_stateless
differentiate = _module.differentiate
enable_float64 = _module.enable_float64
gradient_registry = _module.gradient_registry
preserve_generator = _module.preserve_generator
same_trace = _module.same_trace
transform_batch = _module.transform_batch

__all__ = [
    "COMPILES",
    "accelerators",
    "compile_stateless",
    "differentiate",
    "enable_float64",
    "gradient_registry",
    "preserve_generator",
    "same_trace",
    "transform_batch",
]
