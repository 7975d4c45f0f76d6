-- What every enforced session may say, guarded settings at their safe value too.
SET client_encoding = 'UTF8'
SET client_encoding TO utf8
SET NAMES 'UTF-8'
SET NAMES 'LATIN1'
SET client_encoding TO DEFAULT
SET NAMES DEFAULT
SET NAMES
SET standard_conforming_strings = on
SET standard_conforming_strings TO true
SET row_security = on
SET session_replication_role = origin
SET search_path = public
SET search_path TO 'public'
SET search_path TO "public"
SET search_path TO public, pg_temp
SET search_path TO DEFAULT
SET SCHEMA 'public'
RESET search_path
RESET ALL
RESET ROLE
RESET SESSION AUTHORIZATION
SET SESSION AUTHORIZATION DEFAULT
SET ROLE NONE
SET ROLE 'none'
SET role TO DEFAULT
RESET role
DISCARD ALL
DISCARD PLANS
DISCARD TEMP
DISCARD SEQUENCES
BEGIN ;; COMMIT
BEGIN READ ONLY ;; COMMIT
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE ;; ROLLBACK
START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY ;; COMMIT AND CHAIN ;; ROLLBACK
BEGIN ;; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE ;; COMMIT
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET TIME ZONE 'Europe/Paris'
SET TIME ZONE DEFAULT
SET TIME ZONE LOCAL
SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE
SET application_name = 'x'
SET extra_float_digits = 3
SET statement_timeout TO '30s'
SET LOCAL lock_timeout = 1000
SET XML OPTION DOCUMENT
SELECT set_config('application_name', 'y', false)
SELECT set_config('application_name', 'a' || 'b', false)
SELECT set_config('standard_conforming_strings', 'on', false)
SELECT set_config('client_encoding', 'utf-8', false)
SELECT set_config('search_path', 'public', false)
SELECT set_config('search_path', '"public"', false)
SELECT set_config('row_security', 'on', true)
SELECT set_config('work_mem', '8192', false)
SELECT set_config('role', 'none', false)
SET work_mem = '8MB'
SET work_mem TO 8192
SET work_mem TO DEFAULT
SHOW search_path
SHOW ALL
SELECT current_setting('search_path')
SET SESSION SCHEMA 'public'
