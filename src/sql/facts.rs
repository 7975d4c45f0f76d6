//! Facts: what a text does, statement by statement. Nothing here depends on a policy or a socket.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sql::{StatementHash, recorded};

/// What the whole text of one Query or Parse does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// One entry for each top-level statement, in order. Empty for the empty statement.
    pub statements: Vec<Statement>,
    /// What lists of statements, blocks and logs know the text by. `None` where it is long, or a message without text.
    #[serde(skip)]
    pub hash: Option<StatementHash>,
    /// The hashes of the statements within it, where it isn't one plain statement: those of a message with several, and the one
    /// inside PREPARE, DECLARE, EXPLAIN and COPY (…) TO. Only blocks look at them.
    #[serde(skip)]
    pub parts: Box<[StatementHash]>,
    /// A plain value is written into it where a parameter could stand (LIMIT, OFFSET, `true` and `false` aside).
    #[serde(skip_serializing_if = "is_false")]
    pub inline: bool,
    /// A function of a user gets a text that is written into the statement: it may be SQL, or name something.
    #[serde(skip_serializing_if = "is_false")]
    pub texts_to_functions: bool,
    /// It holds a password of a role or of another server: who reads the hash can try passwords until one fits.
    #[serde(skip_serializing_if = "is_false")]
    pub secret: bool,
}

impl Facts {
    /// What blocks know the text by: its own hash and those of the statements within it.
    pub fn hashes(&self) -> impl Iterator<Item = &StatementHash> {
        self.hash.iter().chain(&self.parts)
    }

    /// The memory that they occupy, roughly, in bytes: what a cache counts.
    pub fn bytes(&self) -> usize {
        // A name here is short: what an allocation costs at least.
        const NAME: usize = 32;
        let named: usize = self
            .statements
            .iter()
            .map(|statement| {
                let columns: usize = statement.accesses.iter().map(|access| access.columns.named.len()).sum();
                let names = statement.relations_read.len()
                    + statement.relations_written.len()
                    + statement.functions.len()
                    + statement.attributes.len()
                    + statement.names.len();
                let accesses = statement.accesses.len() * (size_of::<Access>() + 2 * NAME);
                size_of::<Statement>() + accesses + (columns + names) * (size_of::<Box<str>>() + NAME)
            })
            .sum();
        size_of::<Facts>() + size_of_val(&*self.parts) + named
    }
}

/// What one top-level statement does, anywhere in its tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Statement {
    /// Everything it does; deduplicated, in order of discovery.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accesses: Vec<Access>,
    /// What it does to the session's names of prepared statements and cursors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NameUse>,
    /// Relations read, as written and folded (`schema.table`); CTE references excluded. Like the next two, of the
    /// statement's own tree: what SQL in a string or a body does is among the accesses only.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub relations_read: BTreeSet<String>,
    /// Relations written, likewise.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub relations_written: BTreeSet<String>,
    /// Functions called, as written and folded.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub functions: BTreeSet<String>,
    /// The names written behind a dot as a column or attribute, `y` of `x.y` and `(x).y`, folded: each may be a function of
    /// the row (POLICY 5). SQL in a string is included.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<Box<str>>,
    /// Sets a client-settable harmless default only (a pool's RESET ALL; UNLISTEN *; …); such statements do not
    /// count for `statements: ">1"`.
    #[serde(skip_serializing_if = "is_false")]
    pub default_set: bool,
    /// Levels of its parse tree, SQL in strings added where it stands.
    pub depth: u32,
    /// The greatest `$n` used, 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub parameters: u32,
    /// Joins anywhere in its tree: one for each JOIN, and for each further item of a FROM or USING list.
    #[serde(skip_serializing_if = "is_zero")]
    pub joins: u32,
}

/// One thing that a statement does to one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    pub action: Action,
    #[serde(default, skip_serializing_if = "Object::is_none")]
    pub object: Object,
    /// Columns that the access names. Meaningful for relations only.
    #[serde(default, skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
    /// For `update`, `delete` and `select`: the node that makes the access has no restricting WHERE
    /// (POLICY 8: missing, or constant, or `id = id`, `IS NOT NULL`-alone …).
    #[serde(default, skip_serializing_if = "is_false")]
    pub where_missing: bool,
    /// For `select`: the query that names the relation has no LIMIT (or FETCH FIRST), or LIMIT ALL.
    #[serde(default, skip_serializing_if = "is_false")]
    pub limit_missing: bool,
}

impl Access {
    /// An access without columns and traits.
    pub fn new(action: impl Into<Action>, object: Object) -> Access {
        Access {
            action: action.into(),
            object,
            columns: Columns::default(),
            where_missing: false,
            limit_missing: false,
        }
    }
}

/// An action of POLICY 4, with its object kind or sub-command: `create:index`, `alter:add_column`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Action {
    pub name: ActionName,
    pub kind: Option<&'static str>,
}

macro_rules! actions {
    ($($group:ident { $($variant:ident = $text:literal),+ $(,)? })+) => {
        /// The names of POLICY 4's actions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ActionName { $($($variant,)+)+ }

        impl ActionName {
            /// Every action, in the order of POLICY 4's table.
            pub const ALL: &'static [ActionName] = &[$($(ActionName::$variant,)+)+];
            /// The name as a policy spells it.
            pub fn as_str(self) -> &'static str { match self { $($(ActionName::$variant => $text,)+)+ } }
            /// The group that contains it.
            pub fn group(self) -> Group { match self { $($(ActionName::$variant => Group::$group,)+)+ } }
        }
    };
}

actions! {
    Read { Select = "select", CopyTo = "copy_to" }
    Write {
        Insert = "insert", Update = "update", Delete = "delete", Truncate = "truncate", CopyFrom = "copy_from",
        Nextval = "nextval", LargeObject = "large_object", CatalogWrite = "catalog_write",
    }
    Lock { SelectForUpdate = "select_for_update", LockTable = "lock_table", AdvisoryLock = "advisory_lock" }
    Call { Call = "call", Sleep = "sleep" }
    Ddl { Create = "create", Alter = "alter", Drop = "drop", Comment = "comment", Rename = "rename" }
    Dcl { Grant = "grant", Revoke = "revoke", Role = "role", Policy = "policy" }
    Transaction {
        Begin = "begin", Savepoint = "savepoint", TwoPhase = "two_phase", TransactionMode = "transaction_mode",
        Commit = "commit", Rollback = "rollback",
    }
    Session {
        Set = "set", Show = "show", Reset = "reset", Discard = "discard", Prepare = "prepare", Cursor = "cursor",
        Listen = "listen", Notify = "notify", SetRole = "set_role",
    }
    Maintenance {
        Vacuum = "vacuum", Analyze = "analyze", Reindex = "reindex", Cluster = "cluster", Refresh = "refresh",
        Checkpoint = "checkpoint",
    }
    Code {
        Do = "do", CreateFunction = "create_function", CreateTrigger = "create_trigger", CreateRule = "create_rule",
        CreateExtension = "create_extension", Load = "load",
    }
    File { CopyFile = "copy_file", CopyProgram = "copy_program", FileFunction = "file_function" }
    Network {
        Dblink = "dblink", ForeignServer = "foreign_server", Subscription = "subscription",
        NetworkFunction = "network_function",
    }
    Admin {
        AlterSystem = "alter_system", SignalBackend = "signal_backend", ServerControl = "server_control",
        Replication = "replication", Fastpath = "fastpath",
    }
    Unknown { Unknown = "unknown" }
}

/// The groups of POLICY 4, and `unknown`, which no rule can name and nothing allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    Read,
    Write,
    Lock,
    Call,
    Ddl,
    Dcl,
    Transaction,
    Session,
    Maintenance,
    Code,
    File,
    Network,
    Admin,
    Unknown,
}

impl Group {
    pub const ALL: [Group; 14] = [
        Group::Read,
        Group::Write,
        Group::Lock,
        Group::Call,
        Group::Ddl,
        Group::Dcl,
        Group::Transaction,
        Group::Session,
        Group::Maintenance,
        Group::Code,
        Group::File,
        Group::Network,
        Group::Admin,
        Group::Unknown,
    ];
    /// Whether it reaches out of the database, runs code in the server, or administers it or the rights in it. Only a rule
    /// that says so allows such: no learned list and no `unlisted: observe`.
    pub fn is_privileged(self) -> bool {
        match self {
            Group::File | Group::Network | Group::Code | Group::Admin | Group::Dcl => true,
            Group::Read
            | Group::Write
            | Group::Lock
            | Group::Call
            | Group::Ddl
            | Group::Transaction
            | Group::Session
            | Group::Maintenance
            | Group::Unknown => false,
        }
    }

    /// The name as a policy and a metric label spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::Read => "read",
            Group::Write => "write",
            Group::Lock => "lock",
            Group::Call => "call",
            Group::Ddl => "ddl",
            Group::Dcl => "dcl",
            Group::Transaction => "transaction",
            Group::Session => "session",
            Group::Maintenance => "maintenance",
            Group::Code => "code",
            Group::File => "file",
            Group::Network => "network",
            Group::Admin => "admin",
            Group::Unknown => "unknown",
        }
    }
}

/// A word of the walker's own. (A name of its own, or serde would want to borrow it.)
pub type Word = &'static str;

/// What an access is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// Nothing that has a name (`begin`, `checkpoint`, `reset` of everything …).
    #[default]
    None,
    /// A relation of any kind, sequences too.
    Relation(Name),
    /// A function, procedure, operator or type whose code runs.
    Function {
        name: Name,
        /// True where pg_catalog has a function of this name and the name is unqualified or in pg_catalog: the access's
        /// action then tells the class, and a plain `call` is harmless (POLICY 2a.6, 5).
        #[serde(default, skip_serializing_if = "is_false")]
        builtin: bool,
    },
    /// A server setting, `set`/`reset` by any path.
    Setting { name: Operand, value: SettingValue },
    /// A role, `NONE` as `None`.
    Role(Option<Box<str>>),
    /// A role by an expression that isn't constant (`set_config('role', x, …)`).
    AnyRole,
    /// A cursor or portal.
    Cursor(Box<str>),
    /// Anything else with a name: schemas, types, extensions, channels, large objects … `kind` is PostgreSQL's word.
    Other {
        #[serde(with = "recorded::kind")]
        kind: Word,
        name: Name,
    },
    /// What the walker does not know, in words (`unknown`).
    Unknown(Box<str>),
}

/// An argument whose value is known now, at Bind, or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    Constant(Box<str>),
    /// `$n`, 1-based.
    Parameter(u32),
    Unknown,
}

/// The value that a setting is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingValue {
    /// One operand for each list element as written (`search_path = a, b`).
    List(Vec<Operand>),
    /// `SET x TO DEFAULT`, `RESET x`.
    Default,
    /// `SET x FROM CURRENT` and other values that can't be known.
    Unknown,
}

/// A possibly qualified name, each part as PostgreSQL folds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The database of a three-part name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Box<str>>,
    pub name: Box<str>,
}

impl Name {
    pub fn bare(name: &str) -> Name {
        Name { catalog: None, schema: None, name: name.into() }
    }
    pub fn qualified(schema: &str, name: &str) -> Name {
        Name { catalog: None, schema: Some(schema.into()), name: name.into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(catalog) = &self.catalog {
            write!(f, "{catalog}.")?;
        }
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// Which columns of a relation an access may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// `*`, a whole row, NATURAL JOIN, an alias list, no column list …
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// Named columns, sorted, unique; those named without a table are listed for every relation in scope.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<Box<str>>,
}

impl Columns {
    fn is_empty(&self) -> bool {
        *self == Columns::default()
    }
}

/// What a statement does to the names of prepared statements and cursors (DESIGN §4, Names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameUse {
    Prepare(Box<str>),
    Execute(Box<str>),
    /// `None`: DEALLOCATE ALL, DISCARD ALL.
    Deallocate(Option<Box<str>>),
    Declare {
        cursor: Box<str>,
        hold: bool,
    },
    /// FETCH and MOVE.
    Fetch(Box<str>),
    /// `None`: CLOSE ALL.
    CloseCursor(Option<Box<str>>),
}

impl Object {
    fn is_none(&self) -> bool {
        *self == Object::None
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        if let Some(kind) = self.kind {
            write!(f, ":{kind}")?;
        }
        Ok(())
    }
}

impl From<ActionName> for Action {
    fn from(name: ActionName) -> Action {
        Action { name, kind: None }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::None => Ok(()),
            Object::Relation(name) | Object::Function { name, .. } | Object::Other { name, .. } => name.fmt(f),
            Object::Setting { name: Operand::Constant(name), .. } => f.write_str(name),
            Object::Setting { name: Operand::Parameter(n), .. } => write!(f, "${n}"),
            Object::Setting { name: Operand::Unknown, .. } => f.write_str("?"),
            Object::Role(Some(role)) => f.write_str(role),
            Object::Role(None) => f.write_str("none"),
            Object::AnyRole => f.write_str("?"),
            Object::Cursor(name) => f.write_str(name),
            Object::Unknown(what) => f.write_str(what),
        }
    }
}
