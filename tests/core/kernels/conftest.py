"""Triton's interpreter where there is no GPU: the variable counts when triton is first imported, here if not before."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
