#!/bin/sh
# Runs once, when the database is made. Two databases and five roles:
#   interlock_owner     owns the tables and alone changes them
#   interlock_executor  writes both; cannot truncate, drop a trigger, or delete, but content of runs that are erased
#   interlock_graph     reads and adds blobs; does not reach the ledger
#   interlock_client    reads the ledger; reads and adds blobs
#   interlock_auditor   reads both
set -eu
secret() { cat "/run/interlock/$1_password"; }

psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 --username postgres --dbname postgres \
    -v owner="$(secret owner)" -v executor="$(secret executor)" \
    -v graph="$(secret graph)" -v client="$(secret client)" \
    -v auditor="$(secret auditor)" <<'SQL'
CREATE ROLE interlock_owner LOGIN PASSWORD :'owner';
CREATE ROLE interlock_executor LOGIN PASSWORD :'executor';
CREATE ROLE interlock_graph LOGIN PASSWORD :'graph';
CREATE ROLE interlock_client LOGIN PASSWORD :'client';
CREATE ROLE interlock_auditor LOGIN PASSWORD :'auditor';
CREATE DATABASE interlock_ledger OWNER interlock_owner;
CREATE DATABASE interlock_blobs OWNER interlock_owner;
REVOKE ALL ON DATABASE interlock_ledger, interlock_blobs, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE interlock_ledger TO interlock_owner, interlock_executor, interlock_client, interlock_auditor;
GRANT CONNECT ON DATABASE interlock_blobs
    TO interlock_owner, interlock_executor, interlock_client, interlock_auditor, interlock_graph;

\connect interlock_ledger
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO interlock_owner;
GRANT USAGE ON SCHEMA public TO interlock_executor, interlock_client, interlock_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE interlock_owner GRANT SELECT, INSERT, UPDATE ON TABLES TO interlock_executor;
ALTER DEFAULT PRIVILEGES FOR ROLE interlock_owner GRANT SELECT ON TABLES TO interlock_client, interlock_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE interlock_owner GRANT USAGE ON SEQUENCES TO interlock_executor;

\connect interlock_blobs
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO interlock_owner;
GRANT USAGE ON SCHEMA public TO interlock_executor, interlock_graph, interlock_client, interlock_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE interlock_owner GRANT SELECT ON TABLES TO interlock_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE interlock_owner
    GRANT SELECT, INSERT ON TABLES TO interlock_executor, interlock_graph, interlock_client;
SQL
