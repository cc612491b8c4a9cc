"""Code that depends on the Keras backend.

The modules `tensorflow`, `jax` and `torch` implement the same functions. This package
exports the functions of the active backend:

- `CAN_BEGIN_AT_END`: Whether the first step of `fit` may find that no data are left. If
  the number of batches is unknown, Keras begins one step too many in every epoch.
- `COMPILES`: Whether `compile_stateless` compiles functions. Compiled functions are
  traced before anything is computed.
- `LOSSES_FIND_LOGITS`: Whether Keras' cross-entropies replace the output of a final
  softmax or sigmoid with its logits, so that `from_logits` has no effect there.
- `accelerators()`: Returns a list of the names of the accelerators that Keras uses, for
  example `["GPU NVIDIA H200"]`; the list is empty if Keras runs on a CPU.
- `compile_stateless(function, variables)`: Compiles a function with two arguments: the
  values of `variables`, and a tuple of tensors. Returns a function that takes only the
  tensors, as positional arguments. On TensorFlow and PyTorch, the function can read the
  variables directly, so `None` is passed instead of their values.
- `differentiate(function, inputs)`: Calls a function that maps `inputs`, a list of
  tensors, to a tensor of values and an auxiliary tensor. Returns three results: the
  values, the gradients of the sum of the values with respect to `inputs` (as a list),
  and the auxiliary tensor, which is not differentiated. Gradients with respect to
  unused inputs are zero.
- `enable_float64()`: Returns a context manager that prevents the backend from
  downcasting float64 to float32.
- `generator_state()`: Returns the state of the backend's own random number generators,
  or `None` if the backend keeps no such state.
- `local_copies(model, variable)`: Returns the copies of a variable on the replicas of
  the model's distribution strategy. Without a strategy, this is a list of the variable.
- `preserve_generator()`: Returns a context manager that restores the state of the
  backend's own random number generator on exit.
- `same_trace()`: Returns a function that checks whether a tensor belongs to the trace
  in which `same_trace` was called.
- `gradient_registry()`: Returns the dict in which the backend keeps custom gradients
  and their graphs until the process ends. The dict is empty if the backend has no such
  registry.
- `set_generator_state(state)`: Restores a result of `generator_state()`.
- `shared_array(variable)`: Returns the value of a variable as a NumPy array. It shares
  the memory of the variable if the backend supports this for the dtype and the device,
  so do not change it, and use it before a value is assigned to the variable.
- `transform_batch(model, function, arguments)`: Applies a function to the batch of a
  training or test step, for example to perturb the inputs. `arguments` are the
  arguments of `train_step` or `test_step`. Returns the new arguments, to be passed to
  Keras' own `train_step` or `test_step`. The function may assign values to variables of
  the model. No gradients are computed through the function.

The subpackages have the same structure: `train_step` runs callbacks inside the training
step of `fit`, and `tensor_statistics` computes norms and other statistics of tensors.
"""

import importlib

import keras

_module = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

CAN_BEGIN_AT_END: bool = _module.CAN_BEGIN_AT_END
COMPILES: bool = _module.COMPILES
LOSSES_FIND_LOGITS: bool = _module.LOSSES_FIND_LOGITS
accelerators = _module.accelerators
compile_stateless = _module.compile_stateless
differentiate = _module.differentiate
enable_float64 = _module.enable_float64
generator_state = _module.generator_state
gradient_registry = _module.gradient_registry
local_copies = _module.local_copies
preserve_generator = _module.preserve_generator
same_trace = _module.same_trace
set_generator_state = _module.set_generator_state
shared_array = _module.shared_array
transform_batch = _module.transform_batch

__all__ = [
    "CAN_BEGIN_AT_END",
    "COMPILES",
    "LOSSES_FIND_LOGITS",
    "accelerators",
    "compile_stateless",
    "differentiate",
    "enable_float64",
    "generator_state",
    "gradient_registry",
    "local_copies",
    "preserve_generator",
    "same_trace",
    "set_generator_state",
    "shared_array",
    "transform_batch",
]
