//! The policies that attacks on objects and columns are played against: each holds one kind of rule.

use super::super::Fence;

/// Everything may be read and written but one column.
pub const COLUMN: Fence = Fence::Own(
    "
policy: columns
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: rows
    actions: [read, write, select_for_update]
    tables: ['public.*', 'pg_catalog.*']
deny:
  - rule: no-ssn
    columns: [users.ssn]
",
);

/// The same without a path: a name without schema may mean anything.
pub const COLUMN_ANYWHERE: Fence = Fence::Own(
    "
policy: columns-anywhere
applies_to: {users: [attacker]}
allow:
  - rule: rows
    actions: [read, write, select_for_update]
    tables: ['*', '*.*']
deny:
  - rule: no-ssn
    columns: ['*.users.ssn']
",
);

/// The same for somebody who may change definitions as well.
pub const COLUMN_DDL: Fence = Fence::Own(
    "
policy: columns-of-a-migration
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: schema
    actions: [read, write, ddl, lock, maintenance]
    objects: ['public.*']
deny:
  - rule: no-ssn
    columns: [public.users.ssn]
",
);

/// Everything may be read and written; one column not be read.
pub const COLUMN_READ: Fence = Fence::Own(
    "
policy: column-read
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: rows
    actions: [read, write]
    tables: ['public.*']
deny:
  - rule: no-ssn
    actions: [select]
    columns: [users.ssn]
",
);

/// Rows may be written, and nothing be read.
pub const WRITES: Fence = Fence::Own(
    "
policy: writes
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: rows
    actions: [write]
    tables: ['public.*']
",
);

/// Every schema may be read and defined anew, one table not.
pub const TABLE: Fence = Fence::Own(
    "
policy: tables
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: everything
    actions: [read, write, ddl, lock, maintenance]
    objects: ['*.*']
deny:
  - rule: no-salaries
    tables: [hr.salaries]
",
);

/// The same without a path.
pub const TABLE_ANYWHERE: Fence = Fence::Own(
    "
policy: tables-anywhere
applies_to: {users: [attacker]}
allow:
  - rule: everything
    actions: [read, write, ddl, lock, maintenance]
    objects: ['*', '*.*']
deny:
  - rule: no-salaries
    tables: [hr.salaries]
",
);

/// Only what is listed may be read.
pub const LISTED: Fence = Fence::Own(
    "
policy: listed
applies_to: {users: [attacker]}
search_path: [public, hr]
allow:
  - rule: people
    actions: [select]
    tables: [public.users]
",
);

/// Temporary tables are allowed, and otherwise only reading.
pub const TEMPORARY_READS: Fence = Fence::Own(
    "
policy: temporary-reads
applies_to: {users: [attacker]}
search_path: [public]
temp_tables: allow
allow:
  - rule: rows
    actions: [read]
    tables: ['*.*']
",
);

/// Everything is allowed, but one schema's tables.
pub const SCHEMA: Fence = Fence::Own(
    "
policy: schema
applies_to: {users: [attacker]}
search_path: [public]
allow:
  - rule: everything
    actions: [all]
deny:
  - rule: no-salaries
    tables: [hr.salaries]
decoys: ['hr.users']
",
);

/// Temporary tables are allowed.
pub const TEMPORARY: Fence = Fence::Own(
    "
policy: temporary
applies_to: {users: [attacker]}
search_path: [public]
temp_tables: allow
allow:
  - rule: rows
    actions: [read, write]
    tables: ['public.*']
deny:
  - rule: no-ssn
    columns: [public.users.ssn]
",
);
