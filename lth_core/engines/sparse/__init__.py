"""Fully connected networks on a CPU, trained by the weights that live: compiled kernels and the engine over them."""
