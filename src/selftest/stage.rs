//! The scratch server's side of the self-test: roles and databases that are made for it and go with it, and the picture of
//! everything that an attack may change.

use std::net::SocketAddr;
use std::time::Duration;

use crate::attacks::{STAGE, Target};
use crate::selftest::client::{Client, ClientError};

/// The database from which others are made and dropped.
const MAINTENANCE: &str = "postgres";

/// One line for each catalog and each table.
const SNAPSHOT: &str = include_str!("snapshot.sql");

/// The role that attacks want to become.
const BOSS: &str = "boss";

/// A superuser of the scratch server.
#[derive(Debug, Clone)]
pub struct Superuser {
    /// Where no policy is in the way.
    pub address: SocketAddr,
    pub user: String,
    pub password: Option<String>,
}

impl Superuser {
    /// A session in a database.
    ///
    /// # Errors
    /// The login fails.
    pub fn session(&self, database: &str) -> Result<Client, ClientError> {
        let parameters = [("user", self.user.as_str()), ("database", database)];
        Client::login(self.address, &parameters, self.password.as_deref())
    }
}

/// Why the scratch server is not used.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("the server has a {kind} \"{name}\" already: --scratch wants one that holds nothing of yours")]
    Exists { kind: &'static str, name: String },
    #[error("\"{0}\" is no superuser there: attacks are staged by one")]
    NoSuperuser(String),
}

/// A database with everything that attacks are aimed at.
#[derive(Debug)]
pub struct Stage {
    superuser: Superuser,
    target: Target,
    template: String,
    /// What was made, to be dropped in the end: roles, databases.
    roles: Vec<String>,
    databases: Vec<String>,
    /// In a database that nobody drops.
    server: Client,
    /// In the attacked one.
    session: Option<Client>,
}

impl Stage {
    /// Makes roles and databases for attacks at this target, whose password is found here.
    ///
    /// # Errors
    /// They exist already, or the server refuses.
    pub fn open(superuser: &Superuser, target: &mut Target) -> Result<Stage, StageError> {
        let mut server = superuser.session(MAINTENANCE)?;
        if server.sql("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")? != "t" {
            return Err(StageError::NoSuperuser(superuser.user.clone()));
        }
        target.password = format!("{:032x}", rand::random::<u128>());
        if target.role == superuser.user {
            target.password = superuser.password.clone().unwrap_or_default();
        }
        let template = format!("portcullis_stage_{:08x}", rand::random::<u32>());
        let mut stage = Stage {
            superuser: superuser.clone(),
            target: target.clone(),
            template: template.clone(),
            roles: Vec::new(),
            databases: Vec::new(),
            server,
            session: None,
        };
        for role in [target.role.as_str(), BOSS] {
            if role == superuser.user {
                continue;
            }
            let known =
                stage.server.sql(&format!("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {}", literal(role)))?;
            if !known.is_empty() {
                return Err(StageError::Exists { kind: "role", name: role.to_owned() });
            }
            stage.server.sql(&format!(
                "CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}",
                identifier(role),
                literal(&target.password)
            ))?;
            stage.roles.push(role.to_owned());
        }
        for database in [template.as_str(), target.database.as_str()] {
            let known = stage
                .server
                .sql(&format!("SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}", literal(database)))?;
            if !known.is_empty() {
                return Err(StageError::Exists { kind: "database", name: database.to_owned() });
            }
        }
        stage.server.sql(&format!("CREATE DATABASE {} TEMPLATE template0", identifier(&template)))?;
        stage.databases.push(template.clone());
        superuser.session(&template)?.sql(&target.fill(STAGE))?;
        stage.reset()?;
        Ok(stage)
    }

    /// Makes the database anew.
    ///
    /// # Errors
    /// The server's.
    pub fn reset(&mut self) -> Result<(), StageError> {
        self.session = None;
        let database = identifier(&self.target.database);
        if self.databases.contains(&self.target.database) {
            self.forget_prepared_transactions()?;
            self.await_departures()?;
            self.maintain(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
        } else {
            self.databases.push(self.target.database.clone());
        }
        self.maintain(&format!("CREATE DATABASE {database} TEMPLATE {}", identifier(&self.template)))?;
        Ok(())
    }

    /// Waits a moment for the sessions that were just closed: for those it still finds, DROP DATABASE waits much longer.
    fn await_departures(&mut self) -> Result<(), StageError> {
        let here = format!(
            "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = {}",
            literal(&self.target.database)
        );
        for _ in 0..25 {
            if self.maintain(&here)? == "0" {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// A prepared transaction keeps its database from being dropped.
    fn forget_prepared_transactions(&mut self) -> Result<(), StageError> {
        let prepared = format!(
            "SELECT pg_catalog.string_agg(pg_catalog.quote_literal(gid), E'\\n') FROM pg_catalog.pg_prepared_xacts \
             WHERE database = {}",
            literal(&self.target.database)
        );
        let prepared = self.maintain(&prepared)?;
        if !prepared.is_empty() {
            let mut database = self.superuser.session(&self.target.database)?;
            for transaction in prepared.lines() {
                database.sql(&format!("ROLLBACK PREPARED {transaction}"))?;
            }
        }
        Ok(())
    }

    /// SQL of the superuser in the database of maintenance.
    fn maintain(&mut self, sql: &str) -> Result<String, ClientError> {
        if self.server.closed {
            self.server = self.superuser.session(MAINTENANCE)?;
        }
        self.server.sql(sql)
    }

    /// SQL of the superuser in the attacked database.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&mut self, sql: &str) -> Result<String, ClientError> {
        if self.session.as_ref().is_none_or(|session| session.closed) {
            self.session = Some(self.superuser.session(&self.target.database)?);
        }
        match &mut self.session {
            Some(session) => session.sql(sql),
            None => Err(ClientError::Silence),
        }
    }

    /// What the server holds now.
    ///
    /// # Errors
    /// The server's: something that the picture needs is gone.
    pub fn snapshot(&mut self) -> Result<String, ClientError> {
        self.sql(SNAPSHOT)
    }

    /// The major version of the server.
    ///
    /// # Errors
    /// The server's.
    pub fn major(&mut self) -> Result<u32, ClientError> {
        let number = self.sql("SHOW server_version_num")?;
        Ok(number.parse::<u32>().map_or(0, |number| number / 10_000))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.session = None;
        // Nobody is left to tell of an error, and a scratch server is thrown away.
        for database in std::mem::take(&mut self.databases) {
            let _ = self.maintain(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(&database)));
        }
        for role in std::mem::take(&mut self.roles) {
            let _ = self.maintain(&format!("DROP ROLE IF EXISTS {}", identifier(&role)));
        }
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
