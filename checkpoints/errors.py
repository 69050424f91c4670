"""What can be wrong with a checkpoint: one class each, all of them `CheckpointError`."""


class CheckpointError(ValueError):
    """A checkpoint cannot be found, read, trusted or written."""


class UnknownCheckpointError(CheckpointError):
    """No shipped checkpoint has the name."""


class HubError(CheckpointError):
    """A checkpoint cannot be fetched from the hub."""


class MissingFileError(CheckpointError):
    """A file of the folder is not there."""


class CorruptFileError(CheckpointError):
    """A file is truncated or is not what its name says."""


class ChecksumError(CheckpointError):
    """A file is not the one that `config.json` was written for."""


class MalformedConfigError(CheckpointError):
    """`config.json` lacks a field, has one too many, or one of the wrong kind."""


class NewerFormatError(CheckpointError):
    """The checkpoint was written by a later version of Eigenzoo."""


class UnknownMethodError(CheckpointError):
    """The method is none of the zoo's."""


class HyperparameterError(CheckpointError):
    """The method's class refuses the stored hyper-parameters."""


class MissingKeyError(CheckpointError):
    """The weights lack a tensor that the module has."""


class ExtraKeyError(CheckpointError):
    """The weights have a tensor that the module lacks."""


class TensorMismatchError(CheckpointError):
    """A tensor of the weights has another shape or kind of number than the module's."""


class ReferenceMismatchError(CheckpointError):
    """The rebuilt module does not reproduce the stored output of the stored input."""
