#!/bin/sh
# Checks of the project that need no database: migrations are complete, and production settings are safe.
#   check.sh PYTHON
set -eu
python=$1

# Nothing of the person's own environment, and no server: these checks look at code only.
unset DATABASE_URL REDIS_URL CATALYST_DB_ROLE STRIPE_API_BASE
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CATALYST_HOME="$scratch"

echo "manage.py makemigrations --check"
DJANGO_SETTINGS_MODULE=catalyst.settings.test "$python" -W "ignore::RuntimeWarning" \
    manage.py makemigrations --check --dry-run

echo "manage.py check --deploy (production settings, throwaway values)"
random() { "$python" -c 'import base64, os; print(base64.b64encode(os.urandom(48)).decode())'; }
key() { "$python" -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'; }
SECRET_KEY=$(random) VOUCHER_PEPPER=$(key) CATALYST_MASTER_KEYS=$(key) ALLOWED_HOSTS=catalyst.example \
    DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing REDIS_URL=redis://127.0.0.1:1/0 \
    DJANGO_SETTINGS_MODULE=catalyst.settings.prod \
    "$python" manage.py check --deploy --fail-level WARNING
