"""Tiny fields to test with."""

from datamodules.fields.module import FieldDataModule


def ready(datamodule_class: type[FieldDataModule], **arguments) -> FieldDataModule:
    """Return a datamodule of few samples whose splits are there."""
    sizes = {"num_train": 5, "num_val": 2, "num_test": 3, "batch_size": 2}
    datamodule = datamodule_class(**{**sizes, **arguments})
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule
