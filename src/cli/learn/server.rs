//! `learn --from-server`: what a server counted in `pg_stat_statements`, over a connection as strict as the firewall's own.

use std::time::Duration;

use crate::config::{Upstream, UpstreamError};
use crate::learn::{Counted, Gathering};
use crate::net::{ConnectError, Connector, Destination, Leg, TlsFileError};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

/// Why a server's statistics can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error("the URL can't be used: {0}")]
    Url(String),
    #[error("the URL can't be used: {0}")]
    Upstream(#[from] UpstreamError),
    #[error("{0}")]
    Files(#[from] TlsFileError),
    #[error("{0}. {hint}", hint = .0.hint())]
    Connect(#[from] ConnectError),
    #[error("a password would go to {0} without TLS: set sslmode=verify-full")]
    PlainPassword(String),
    #[error("{what}: {why}")]
    Server { what: &'static str, why: String },
    #[error(
        "the extension pg_stat_statements is not in this database: CREATE EXTENSION pg_stat_statements, and name it in \
         shared_preload_libraries"
    )]
    NoExtension,
    #[error(
        "the server hides the texts of {0} statements of other users from this login, and a policy without them would refuse them: \
         GRANT pg_read_all_stats TO it"
    )]
    Hidden(usize),
    #[error("can't start the client: {0}")]
    Runtime(#[from] std::io::Error),
}

/// How long the server may take to take the connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What `pg_stat_statements` shows in the place of a text to who may not see it.
const HIDDEN: &str = "<insufficient privilege>";

/// Where to log in as whom.
struct Login {
    upstream: Upstream,
    user: String,
    database: String,
}

/// Takes user and database out of a URL; the rest is an upstream's.
fn login(text: &str) -> Result<Login, ServerError> {
    let bad = |why: &str| ServerError::Url(why.to_owned());
    let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("write postgres://USER@host/database"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') || path.contains('@') {
        return Err(bad("a password doesn't belong on a command line: put it into PGPASSWORD"));
    }
    let user = decoded(user);
    if user.is_empty() {
        return Err(bad("it names no user: postgres://USER@host/database"));
    }
    let database = decoded(path.trim_start_matches('/'));
    let database = if database.is_empty() { user.clone() } else { database };
    Ok(Login { upstream: Upstream::parse(&format!("{scheme}://{hosts}/?{query}"))?, user, database })
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> String {
    let pair = format!("x={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Gathers all statements that the server tells us of. `meant`: whether they are to be learned, by user and database.
pub(super) fn read(url: &str, gathering: &mut Gathering, meant: impl Fn(&Counted) -> bool) -> Result<(), ServerError> {
    let login = login(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(rows(&login, std::env::var("PGPASSWORD").ok()))?;
    let (hidden, rows): (Vec<&Counted>, Vec<&Counted>) = rows.iter().partition(|row| row.text == HIDDEN);
    match hidden.into_iter().filter(|row| meant(row)).count() {
        0 => rows.into_iter().for_each(|row| gathering.counted(row)),
        hidden => return Err(ServerError::Hidden(hidden)),
    }
    Ok(())
}

async fn rows(login: &Login, password: Option<String>) -> Result<Vec<Counted>, ServerError> {
    let client = connect(login, password).await?;
    let failed =
        |what: &'static str| move |error: tokio_postgres::Error| ServerError::Server { what, why: told(&error) };
    let schema = "SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_extension e \
                  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace \
                  WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'";
    let schema = client.query_opt(schema, &[]).await.map_err(failed("looking for pg_stat_statements failed"))?;
    let schema: String = schema.ok_or(ServerError::NoExtension)?.get(0);
    // What functions do inside is not what a client sends.
    let statements = format!(
        "SELECT r.rolname::pg_catalog.text, d.datname::pg_catalog.text, s.query, s.calls \
         FROM \"{}\".pg_stat_statements s \
         JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.userid \
         JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.dbid WHERE s.toplevel",
        schema.replace('"', "\"\"")
    );
    let rows = client.query(&statements, &[]).await.map_err(failed("reading pg_stat_statements failed"))?;
    let row = |row: &tokio_postgres::Row| Counted {
        user: row.get(0),
        database: row.get(1),
        text: row.get::<_, Option<String>>(2).unwrap_or_default(),
        calls: u64::try_from(row.get::<_, i64>(3)).unwrap_or(0),
    };
    Ok(rows.iter().map(row).collect())
}

fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Connects by the URL's `sslmode`, as the firewall does.
async fn connect(login: &Login, password: Option<String>) -> Result<tokio_postgres::Client, ServerError> {
    let connector = Connector::new(&login.upstream, TIMEOUT)?;
    let mut ways = connector.ways();
    loop {
        let connected = ways.connect().await?;
        let mut config = tokio_postgres::Config::new();
        config.user(&login.user).dbname(&login.database).application_name("portcullis learn");
        // TLS is ours, and is there or not by now.
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let Destination { address, leg, .. } = &connected.destination;
        if let Some(password) = &password {
            if *leg == Leg::Plain && !address.is_private() {
                return Err(ServerError::PlainPassword(connector.name_of(&connected.destination)));
            }
            config.password(password);
        }
        let error = match config.connect_raw(connected.stream, NoTls).await {
            Ok((client, connection)) => {
                // Its errors show in the client's answers.
                tokio::spawn(async move { connection.await.map_err(drop) });
                return Ok(client);
            }
            Err(error) => error,
        };
        // As a session does it.
        let goes_on = match error.code() {
            Some(&SqlState::CANNOT_CONNECT_NOW) => ways.next_host(),
            Some(_) => ways.other_leg(&connected.destination),
            None => false,
        };
        if !goes_on {
            return Err(ServerError::Server { what: "the login failed", why: told(&error) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_database_are_taken_out_of_the_url() {
        let Login { upstream, user, database } = login("postgres://a%40b@db:5433/shop%20x?sslmode=require").unwrap();
        assert_eq!((user.as_str(), database.as_str()), ("a@b", "shop x"));
        assert_eq!(upstream.hosts[0].to_string(), "db:5433");
        assert_eq!(login("postgres://u@db").unwrap().database, "u");
        assert_eq!(login("postgres://u@a:1,b/shop").unwrap().upstream.hosts.len(), 2);
        assert_eq!(login("postgres://u@/shop?host=/run/postgresql").unwrap().database, "shop");
        for (url, said) in [
            ("postgres://u:secret@db/x", "PGPASSWORD"),
            ("postgres://u:sec/ret@db/x", "PGPASSWORD"),
            ("postgres://db/x", "no user"),
            ("postgres://u@db/x?sslmode=maybe", "sslmode"),
        ] {
            let error = login(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(said) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
