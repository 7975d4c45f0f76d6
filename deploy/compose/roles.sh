#!/bin/sh
# Runs once, when the database is made: the role of the policy `application`, with nothing that the policy lacks.
set -eu
# The password goes through psql's environment and quoting, never through a command line.
psql --set ON_ERROR_STOP=1 --no-psqlrc --username postgres --dbname "$POSTGRES_DB" <<'SQL'
\getenv password APP_PASSWORD
CREATE ROLE app_rw LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO app_rw;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app_rw;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO app_rw;
SQL
