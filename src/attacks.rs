//! The catalogue of attacks, as data: what is tried, by which bytes, which kind of policy stops it, and what would be
//! different afterwards if nothing did.
//!
//! Pure data without IO: `selftest` plays it, `tests/attacks/` holds every entry against a real server, and
//! `docs/known-attacks.md` is written from it. Entries keep their codes for ever; a new attack gets a new code.

pub mod frames;

mod a;
mod b;
mod c;
mod d;
mod e;
mod f;
mod g;
mod h;
mod i;
mod j;

/// All entries, by group.
pub const GROUPS: [Group; 10] = [
    Group { letter: 'A', title: "Escaping a read-only fence", attacks: a::ATTACKS },
    Group { letter: 'B', title: "Statement-class confusion", attacks: b::ATTACKS },
    Group { letter: 'C', title: "Code execution hidden in an expression", attacks: c::ATTACKS },
    Group { letter: 'D', title: "Objects, columns and masking", attacks: d::ATTACKS },
    Group { letter: 'E', title: "Lexer, encoding and grammar differentials", attacks: e::ATTACKS },
    Group { letter: 'F', title: "Wire protocol", attacks: f::ATTACKS },
    Group { letter: 'G', title: "Session state, identity, pooling", attacks: g::ATTACKS },
    Group { letter: 'H', title: "Evading allow-lists and injection detection", attacks: h::ATTACKS },
    Group { letter: 'I', title: "Denial of service, and failing open", attacks: i::ATTACKS },
    Group { letter: 'J', title: "Around the wire", attacks: j::ATTACKS },
];

/// The objects that the attacks are aimed at, with `{schema}` and `{users}` to be filled in: run in an empty database.
pub const STAGE: &str = include_str!("attacks/stage.sql");

/// Attacks of one kind.
#[derive(Debug)]
pub struct Group {
    pub letter: char,
    pub title: &'static str,
    pub attacks: &'static [Attack],
}

/// One entry of the catalogue.
#[derive(Debug)]
pub struct Attack {
    /// `A1`.
    pub code: &'static str,
    /// `stacked_commit`: with the code the name of its test, `a1_stacked_commit`.
    pub name: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The type, the check or the setting that stops it, in one line for people.
    pub stopped_by: &'static str,
    pub seen: Seen,
}

/// How much of an attack passes through the firewall.
#[derive(Debug)]
pub enum Seen {
    /// A client sends it: it is played in each of these ways.
    Wire(&'static [Way]),
    /// It is aimed at the program and not at a policy (a server that lies, a flood, a broken file): these tests of the
    /// project play it. Each is `<file of tests/ or module of src/>::<test>`.
    Build(&'static [&'static str]),
    /// Nothing of it is to be seen on the wire.
    Never {
        why: &'static str,
        /// What `portcullis doctor` looks at on the server instead.
        doctor: &'static str,
    },
}

/// Which policies should stop it.
#[derive(Debug, Clone, Copy)]
pub enum Fence {
    /// Every policy that enforces, unless somebody wrote down that it may pass.
    Always,
    /// Every policy that refuses this statement: the same deed, said openly.
    Deed(&'static str),
    /// The policies in this YAML, whatever the user's own say: they hold a rule of the kind that is attacked. The attacked
    /// session is that of [`OWN_USER`].
    Own(&'static str),
}

/// The user of the sessions under a policy of the catalogue's own.
pub const OWN_USER: &str = "attacker";

/// What the names in braces stand for: `{users}`, `{schema}`, `{role}`, `{database}`, `{password}`.
#[derive(Debug, Clone)]
pub struct Target {
    /// A table that the attacked session may read, without its schema: `(id int, name text, ssn text, role text)`.
    pub users: String,
    /// The schema of that table.
    pub schema: String,
    /// Who is logged in.
    pub role: String,
    pub database: String,
    /// The password of the role on the scratch server.
    pub password: String,
}

impl Target {
    /// A text of the catalogue with its names filled in.
    pub fn fill(&self, text: &str) -> String {
        text.replace("{users}", &self.users)
            .replace("{schema}", &self.schema)
            .replace("{role}", &self.role)
            .replace("{database}", &self.database)
            .replace("{password}", &self.password)
    }
}

/// One way to try it.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// What is done, in a few words.
    pub how: &'static str,
    pub fence: Fence,
    /// What a superuser does first, in the database of the attack; undone with it.
    pub setup: &'static str,
    /// How the session begins.
    pub opening: Opening,
    pub steps: &'static [Step],
    pub harm: Harm,
    /// What a superuser does afterwards to undo what the database doesn't take with it.
    pub undo: &'static str,
    /// The first and the last major version of PostgreSQL on which it does harm.
    pub majors: (u32, u32),
    /// False where the firewall refuses nothing, because what it sent at the start of the session takes the harm away.
    pub refused: bool,
    /// Why its bytes differ from a direct session's even where a policy only observes: TLS and the shape of packets belong
    /// to the transport.
    pub transport: bool,
}

/// How a session begins.
#[derive(Debug, Clone, Copy)]
pub enum Opening {
    /// It logs in, with these startup parameters besides user and database.
    Login(&'static [(&'static str, &'static str)]),
    /// These bytes are sent instead of a startup packet; answers are read until there are no more for a moment.
    Bytes(fn(&Target) -> Vec<u8>),
}

/// What the client does next. After each step it reads its answers.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// One statement: once by Query, and in another session by Parse, Bind, Describe, Execute, Sync.
    Sql(&'static str),
    /// A text by Query.
    Query(&'static str),
    /// One statement by Parse, Bind, Describe, Execute, Sync, with these values as text.
    Bound(&'static str, &'static [&'static str]),
    /// Bytes, and so many ReadyForQuery to wait for.
    Bytes(fn(&Target) -> Vec<u8>, usize),
    /// The same, going on with the COPY that a Query began: where that was refused, nobody answers the end of its data, and one
    /// less is waited for.
    CopyRest(fn(&Target) -> Vec<u8>, usize),
    /// A superuser's SQL on another connection, past the firewall.
    Elsewhere(&'static str),
    /// Another set of policies comes into force ([`Fence::Own`] only).
    Reload(&'static str),
}

/// How one sees that it worked.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    /// The database, the roles or the server's settings differ from before.
    Changes,
    /// The answers hold this text.
    Tells(&'static str),
    /// The session answers this query with that value in the first column.
    Session(&'static str, &'static str),
    /// A superuser's query answers `t`.
    Server(&'static str),
    /// The last step is answered without an error.
    Runs,
}

/// The newest major version that attacks are known for.
const NEWEST: u32 = 99;

impl Way {
    /// A session that logs in and does this.
    pub const fn new(how: &'static str, fence: Fence, steps: &'static [Step], harm: Harm) -> Way {
        Way {
            how,
            fence,
            setup: "",
            opening: Opening::Login(&[]),
            steps,
            harm,
            undo: "",
            majors: (0, NEWEST),
            refused: true,
            transport: false,
        }
    }

    /// The same, after a superuser did this.
    pub const fn setup(self, setup: &'static str) -> Way {
        Way { setup, ..self }
    }

    /// The same, taken back by this.
    pub const fn undo(self, undo: &'static str) -> Way {
        Way { undo, ..self }
    }

    /// The same, with these startup parameters.
    pub const fn startup(self, parameters: &'static [(&'static str, &'static str)]) -> Way {
        Way { opening: Opening::Login(parameters), ..self }
    }

    /// The same, beginning with bytes instead of a login.
    pub const fn opening(self, bytes: fn(&Target) -> Vec<u8>) -> Way {
        Way { opening: Opening::Bytes(bytes), ..self }
    }

    /// The same, where it does harm on some major versions only.
    pub const fn majors(self, first: u32, last: u32) -> Way {
        Way { majors: (first, last), ..self }
    }

    /// The same, from this major version on.
    pub const fn since(self, first: u32) -> Way {
        self.majors(first, NEWEST)
    }

    /// The same, made harmless without a refusal.
    pub const fn harmless(self) -> Way {
        Way { refused: false, ..self }
    }

    /// The same, where the transport answers for itself in every mode.
    pub const fn of_the_transport(self) -> Way {
        Way { transport: true, ..self }
    }
}

impl Step {
    /// What the client sends, and how many ReadyForQuery answer it; none where somebody else acts.
    pub fn bytes(&self, extended: bool, target: &Target) -> Option<(Vec<u8>, usize)> {
        Some(match self {
            Step::Elsewhere(_) | Step::Reload(_) => return None,
            Step::Sql(sql) if extended => ([frames::run(&target.fill(sql), &[]), frames::sync()].concat(), 1),
            Step::Sql(sql) | Step::Query(sql) => (frames::query(&target.fill(sql)), 1),
            Step::Bound(sql, values) => ([frames::run(&target.fill(sql), values), frames::sync()].concat(), 1),
            Step::Bytes(bytes, ready) | Step::CopyRest(bytes, ready) => (bytes(target), *ready),
        })
    }
}

impl Attack {
    /// `a1_stacked_commit`.
    pub fn test_name(&self) -> String {
        format!("{}_{}", self.code.to_ascii_lowercase(), self.name)
    }

    /// The ways it is played in; none where it isn't.
    pub fn ways(&self) -> &'static [Way] {
        match self.seen {
            Seen::Wire(ways) => ways,
            Seen::Build(_) | Seen::Never { .. } => &[],
        }
    }
}

/// Every entry, in order.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    GROUPS.iter().flat_map(|group| group.attacks)
}

#[cfg(test)]
mod tests;
