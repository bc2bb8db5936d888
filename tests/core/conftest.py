"""What tests of data sets share: small arrays in the place of MNIST and CIFAR-10."""

from layouts import digits28, nothing_remembered, photos  # noqa: F401 (fixtures)
