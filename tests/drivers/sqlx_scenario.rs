//! What an application on sqlx does: a pool, statements, transactions, COPY, cancel, notifications, and what a refusal looks
//! like to it. It sends one statement at a time: there is no pipeline.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Error, Executor, PgConnection, PgPool, Row};

use super::{Call, MARK, MARKED, Report, SECRETS, SLEEP, SLEEPING, Seen, UNMARK, large, locked};

fn options(call: &Call) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .port(call.port)
        .username("scram_user")
        .password("secret")
        .database("shop")
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(call.cluster.ca())
}

async fn count(connection: impl Executor<'_, Database = sqlx::Postgres>, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

fn code(error: &Error) -> String {
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

fn seen(error: &Error) -> Seen {
    let db: &PgDatabaseError = error.as_database_error().unwrap().downcast_ref();
    let field = |how: &str, what: Option<&str>| (how.to_owned(), what.map(str::to_owned));
    Seen {
        r#type: std::any::type_name_of_val(db).to_owned(),
        sqlstate: field("db.code()", Some(db.code())),
        message: field("db.message()", Some(db.message())),
        detail: field("db.detail()", db.detail()),
        hint: field("db.hint()", db.hint()),
    }
}

pub(crate) async fn play(call: &Call<'_>) -> Report {
    let mut did = BTreeSet::new();
    let mut refusals = BTreeMap::new();
    let pool: PgPool = PgPoolOptions::new().max_connections(3).connect_with(options(call)).await.unwrap();
    let mut connection: PgConnection = PgConnection::connect_with(&options(call)).await.unwrap();

    let stranger = options(call).ssl_root_cert(call.stranger);
    let stranger = PgConnection::connect_with(&stranger).await.expect_err("a stranger's certificate passed");
    assert!(matches!(stranger, Error::Tls(_) | Error::Io(_)), "{stranger:?}");
    assert!(stranger.to_string().contains("UnknownIssuer"), "{stranger}");
    assert!(sqlx::query_scalar::<_, bool>(super::ENCRYPTED).fetch_one(&pool).await.unwrap());
    did.insert("TLS".to_owned());

    for id in 1..20 {
        let name: String = sqlx::query_scalar("SELECT name FROM products WHERE id = $1")
            .bind(id)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(name, format!("product {id}"));
    }
    assert!(count(&mut connection, super::PREPARED).await >= 1);
    connection.execute(sqlx::raw_sql("SELECT 1; SELECT 2")).await.unwrap();
    did.insert("prepared statements".to_owned());

    let mut transaction = pool.begin().await.unwrap();
    transaction.execute(MARK).await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    savepoint.execute(MARK).await.unwrap();
    savepoint.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&mut connection, MARKED).await, 1);
    assert_eq!(pool.execute(UNMARK).await.unwrap().rows_affected(), 1);
    did.insert("transactions".to_owned());

    let mut transaction = connection.begin().await.unwrap();
    let mut copy = transaction.copy_in_raw("COPY products (id, name, price) FROM STDIN").await.unwrap();
    for id in 500..600 {
        copy.send(format!("{id}\tcopied {id}\t1\n").as_bytes()).await.unwrap();
    }
    assert_eq!(copy.finish().await.unwrap(), 100);
    let copied = "COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT";
    let out: Vec<_> = transaction.copy_out_raw(copied).await.unwrap().try_collect().await.unwrap();
    assert_eq!(out.concat().split(|byte| *byte == b'\n').count(), 101);
    transaction.rollback().await.unwrap();
    did.insert("COPY".to_owned());

    // It has no call that cancels: the server's function does, where a policy lets it; a statement's own time limit, too.
    connection.execute("SET statement_timeout = '300ms'").await.unwrap();
    let error = connection.execute(SLEEP).await.unwrap_err();
    assert_eq!(code(&error), "57014");
    connection.execute("SET statement_timeout = 0").await.unwrap();
    assert_eq!(count(&pool, SLEEPING).await, 0);

    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("news").await.unwrap();
    sqlx::query("SELECT pg_notify('news', $1)").bind("größe").execute(&mut connection).await.unwrap();
    let notification = listener.recv().await.unwrap();
    assert_eq!((notification.channel(), notification.payload()), ("news", "größe"));
    drop(listener);
    did.insert("LISTEN".to_owned());

    let (words, body) = large();
    let insert = sqlx::query("INSERT INTO documents VALUES (1, $1, $2)").bind(&words).bind(&body);
    insert.execute(&mut connection).await.unwrap();
    let row = connection.fetch_one("SELECT length(words), length(body), words, body FROM documents").await.unwrap();
    assert_eq!(row.get::<i32, _>(0), i32::try_from(words.chars().count()).unwrap());
    assert_eq!(row.get::<i32, _>(1), i32::try_from(body.len()).unwrap());
    assert!(row.get::<String, _>(2) == words && row.get::<Vec<u8>, _>(3) == body);
    connection.execute("DELETE FROM documents").await.unwrap();
    did.insert("large values".to_owned());

    let mut transaction = connection.begin().await.unwrap();
    transaction.execute(MARK).await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    savepoint.fetch_all(SECRETS).await.unwrap_err();
    savepoint.rollback().await.unwrap();
    assert_eq!(count(&mut *transaction, MARKED).await, 1);
    let error = sqlx::query(SECRETS).fetch_all(&mut *transaction).await.unwrap_err();
    refusals.insert("transaction".to_owned(), seen(&error));
    let error = sqlx::query("SELECT 1").fetch_all(&mut *transaction).await.unwrap_err();
    assert_eq!(code(&error), "25P02");
    transaction.rollback().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    assert_eq!(transaction.execute(AssertSqlSafe("DROP TABLE orders")).await.is_err(), call.mode == "enforce");
    transaction.rollback().await.unwrap();
    assert_eq!(count(&mut connection, "SELECT count(*) FROM orders").await, 1000);
    assert_eq!(count(&pool, MARKED).await, 0);
    did.insert("refusal in a transaction".to_owned());
    pool.close().await;

    // It never binds the channel.
    Report { version: locked("sqlx"), bound: false, did, refusals, ended: None }
}
