"""Regular expressions that several apps share. Match with ``re.fullmatch``; the same rule stands as a CHECK.

Source: docs/glossary.md, "Naming rules". Postgres reads the same text as an advanced regular expression, which knows
the look-aheads used here; ``check_pattern`` gives the form for a constraint.
"""

ENVIRONMENT_TYPES = ("prod", "stg", "uat", "dev", "poc")

ORGANIZATION = r"^(?=.{3,32}$)[a-z](?:-?[a-z0-9])+$"
ENVIRONMENT = r"^(?=.{7,37}$)[a-z](?:-?[a-z0-9])+-(?:prod|stg|uat|dev|poc)$"
APPLICATION = r"^(?=.{2,53}$)[a-z](?:-?[a-z0-9])+$"
ALIAS = r"^(?=.{1,12}$)[a-z](?:-?[a-z0-9])*$"
BLUEPRINT = r"^(?=.{5,48}$)bp-[a-z](?:-?[a-z0-9])+$"
VERSION = (
    r"^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?$"
)
