#!/bin/sh
# Bring Temporal's two databases to this version's schema; a database that is there already is left as it is.
# The connection comes from SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN.
set -eu

schemas=/etc/temporal/schema/postgresql/v12

bring_up() {
    echo "Schema of $1"
    temporal-sql-tool --database "$1" setup-schema --version 0.0
    temporal-sql-tool --database "$1" update-schema --schema-dir "$schemas/$2/versioned"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
