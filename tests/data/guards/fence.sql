-- Ways through a read-only fence that `pin: {default_transaction_read_only: on}` builds, one session a line.
SET default_transaction_read_only = off
SET default_transaction_read_only TO 0
SET SESSION default_transaction_read_only = 'f'
SET LOCAL default_transaction_read_only = off
SET transaction_read_only = off
BEGIN ;; SET transaction_read_only = off
BEGIN ;; SET LOCAL transaction_read_only TO 'no'
BEGIN ;; SET transaction_read_only TO DEFAULT
BEGIN ;; RESET transaction_read_only
BEGIN ;; SET TRANSACTION READ WRITE
BEGIN; SET TRANSACTION READ WRITE
BEGIN READ ONLY ;; SET TRANSACTION READ WRITE
BEGIN READ WRITE
BEGIN WORK READ WRITE
BEGIN TRANSACTION READ WRITE
START TRANSACTION READ WRITE
START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE
BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE, NOT DEFERRABLE
BEGIN READ ONLY, READ WRITE
START TRANSACTION READ ONLY READ WRITE
BEGIN ;; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE
BEGIN ;; SET TRANSACTION READ ONLY, READ WRITE
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE
SELECT set_config('default_transaction_read_only', 'off', false)
SELECT set_config('Default_Transaction_Read_Only', 'off', false)
SELECT set_config('default_transaction_read_only', 'o' || 'ff', false)
BEGIN ;; SELECT set_config('default_transaction_read_only', 'off', true)
UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'
PREPARE p (text) AS SELECT set_config('default_transaction_read_only', $1, false) ;; EXECUTE p('off')
DO $$ BEGIN SET default_transaction_read_only = off; END $$
DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; END $$
BEGIN ;; COMMIT AND CHAIN ;; SET TRANSACTION READ WRITE
BEGIN ;; ROLLBACK AND CHAIN; SET TRANSACTION READ WRITE
SAVEPOINT a; SET TRANSACTION READ WRITE
ALTER ROLE fenced SET default_transaction_read_only = off
ALTER ROLE ALL IN DATABASE shop SET default_transaction_read_only = off
ALTER DATABASE shop SET default_transaction_read_only = off
ALTER SYSTEM SET default_transaction_read_only = off
