"""Every setting with its default, one frozen dataclass a command.

Built and checked in the command, passed whole to one core function, stored in what it makes. A default is written once,
here; the string under a field says what it is, and its unit. Imports nothing heavy.
"""

from sentneuron.core.config.classifying import ClassifyConfig
from sentneuron.core.config.exporting import ExportConfig, Layout
from sentneuron.core.config.finetuning import FinetuneConfig
from sentneuron.core.config.generating import GenerateConfig, NeuronName
from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.config.model import POOLINGS, Cell, Kernel, ModelConfig, Pooling, Precision
from sentneuron.core.config.reading import LABEL_KEYS, TEXT_KEYS, InputFormat, OutputFormat, ReadConfig
from sentneuron.core.config.sharding import ShardConfig
from sentneuron.core.config.training import PersistState, TrainConfig, TrainPrecision
from sentneuron.core.config.transferring import TransferConfig

__all__ = [
    "LABEL_KEYS",
    "POOLINGS",
    "TEXT_KEYS",
    "Cell",
    "ClassifyConfig",
    "ExportConfig",
    "FinetuneConfig",
    "GenerateConfig",
    "InputFormat",
    "Kernel",
    "LaunchConfig",
    "Layout",
    "ModelConfig",
    "NeuronName",
    "OutputFormat",
    "PersistState",
    "Pooling",
    "Precision",
    "ReadConfig",
    "ShardConfig",
    "TrainConfig",
    "TrainPrecision",
    "TransferConfig",
]
