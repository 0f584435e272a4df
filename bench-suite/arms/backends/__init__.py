"""What a compiled call is in each backend: one inference, or one step of training.

Keras's steps are written as its own guides write a loop for each backend ("Writing a training loop in
TensorFlow", "in JAX", "in PyTorch"): the model's own update of its weights and states, the optimiser of
Keras, and nothing around it. `model.fit` compiles the same step; what it adds (an iterator, metrics,
callbacks, for JAX the way of the state in and out) no other framework is asked to do here. `train_on_batch`
and `predict` do so at each call.

A file has `Inference` and `Training`. Both are called without arguments, have finished when they return,
and have `outputs()` or `loss()` of the latest call.
"""
