"""Code that differs by Keras backend.

The modules `tensorflow`, `jax` and `torch` implement the same functions; those of the
backend in use can be imported from this package:

- `COMPILES`: Whether `compile_stateless` compiles, and so traces a function before it
  computes anything.
- `accelerators()`: Returns the names of the accelerators that Keras computes on, such
  as `["GPU NVIDIA H200"]`; an empty list on a CPU.
- `compile_stateless(function, variables)`: Compiles a function of two arguments:
  values of `variables`, and a tuple of tensors. Returns a function of the tensors. The
  values are `None` where a compiled function reads variables itself.
- `differentiate(function, inputs)`: Takes a function that maps a list of tensors to
  a tensor and an auxiliary tensor, which is not differentiated. Returns the tensor,
  the gradients of its sum with respect to `inputs`, a list of tensors, and the
  auxiliary tensor. Gradients of unused inputs are zero.
- `enable_float64()`: Returns a context in which the backend does not narrow float64.
- `preserve_generator()`: Returns a context that restores the state of the backend's
  own random generator at its end.
- `same_trace()`: Returns a function that tells whether a tensor belongs to the trace in
  which `same_trace` was called.
- `gradient_registry()`: Returns the dict in which the backend keeps custom gradients
  and their graphs until the process ends; an empty one if there is no registry.
- `transform_batch(model, function, arguments)`: Applies a function to the batch of a
  training or test step, such as to perturb its inputs. `arguments` are those of
  `train_step` or `test_step`, and the result is passed to the `train_step` or
  `test_step` of Keras. The function may assign to variables of the model, and no
  gradient is taken through it.

The sub-packages are built in the same way: `train_step` puts callbacks into the step
that `fit` runs, and `tensor_statistics` computes norms and counts magnitudes.
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
