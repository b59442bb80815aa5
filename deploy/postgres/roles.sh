#!/bin/sh
# Runs once, when the database's volume is first made: two roles that own their own databases and nothing else.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
    --set=temporal="$TEMPORAL_DB_PASSWORD" --set=pactkeeper="$PACTKEEPER_DB_PASSWORD" <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE ROLE pactkeeper LOGIN PASSWORD :'pactkeeper';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE pactkeeper OWNER pactkeeper;
REVOKE CONNECT, TEMPORARY ON DATABASE temporal, temporal_visibility, pactkeeper, postgres FROM PUBLIC;
SQL
