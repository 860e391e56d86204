"""How far the append-only files have been written."""

from django.db import models


class Export(models.Model):
    """One JSONL export: the last row written to it, and where in the file that row's line ends.

    The byte offset makes the export exact: a line written by a process that died before it could record
    the fact lies beyond the offset, and is cut off before writing goes on.
    """

    name = models.CharField(max_length=32, unique=True)
    path = models.CharField(max_length=4096)
    last_row_id = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
