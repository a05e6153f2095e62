"""Train byte-level mLSTM language models on reviews, find their sentiment neuron, classify and write with it."""

__version__ = "0.1.0"
