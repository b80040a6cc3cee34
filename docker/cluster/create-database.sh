#!/bin/sh
# Creates the role and the database of the cluster when PostgreSQL starts with an empty volume. The
# role owns its database and nothing else.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --set "password=$HEARTH_DATABASE_PASSWORD" <<'END'
CREATE ROLE hearth LOGIN PASSWORD :'password';
CREATE DATABASE hearth OWNER hearth;
REVOKE ALL ON DATABASE hearth FROM PUBLIC;
END
