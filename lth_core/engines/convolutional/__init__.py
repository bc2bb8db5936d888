"""Compiled CPU engine for convolutional networks: only living weights cost time.

Images lie side by side in vectors of 16: activations are `[group of 16 images][y][channel][x][image]`. A convolution
walks lists of its living weights and multiplies each with a tile of pixels that stays in registers.
"""
