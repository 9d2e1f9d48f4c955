"""SQL expressions that Django does not name."""

from django.db.models import Func, IntegerField
from django.db.models.fields import BigIntegerField


class OctetLength(Func):
    """The number of bytes of a ``bytea`` value."""

    function = "octet_length"
    output_field = IntegerField()


class NumNonNulls(Func):
    """How many of the arguments are not null."""

    function = "num_nonnulls"
    output_field = IntegerField()


class ClockTimestamp(Func):
    """The wall clock of the database at this statement, not at the transaction's start."""

    function = "clock_timestamp"
    template = "%(function)s()"


class Modulo(Func):
    """Integer remainder, ``a % b``."""

    arg_joiner = " %% "
    template = "(%(expressions)s)"
    output_field = BigIntegerField()
