//! What an application on tokio-postgres does: TLS by rustls, statements, transactions, COPY, cancel, notifications, and what a
//! refusal looks like to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future, stream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::mpsc;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Call, MARK, MARKED, Report, SECRETS, SLEEP, SLEEPING, Seen, UNMARK, large, locked};

/// TLS that trusts this authority alone.
fn tls(authority: &Path) -> MakeRustlsConnect {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    MakeRustlsConnect::new(versions.with_root_certificates(roots).with_no_client_auth())
}

fn config(call: &Call) -> Config {
    let mut config = Config::new();
    config.host("localhost").port(call.port).user("scram_user").password("secret").dbname("shop");
    config.ssl_mode(SslMode::Require);
    config.channel_binding(if call.bind { ChannelBinding::Require } else { ChannelBinding::Prefer });
    config
}

/// A session, and its notifications.
async fn connect(call: &Call<'_>) -> (Client, mpsc::UnboundedReceiver<tokio_postgres::Notification>) {
    let (client, mut connection) = config(call).connect(tls(&call.cluster.ca())).await.unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = pin!(stream::poll_fn(move |context| connection.poll_message(context)));
        while let Some(message) = messages.next().await {
            if let Ok(AsyncMessage::Notification(notification)) = message {
                let _ = tell.send(notification);
            }
        }
    });
    (client, told)
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn seen(error: &Error) -> Seen {
    let db = error.as_db_error().unwrap();
    let field = |how: &str, what: Option<&str>| (how.to_owned(), what.map(str::to_owned));
    Seen {
        r#type: std::any::type_name_of_val(error).to_owned(),
        sqlstate: field("error.code()", error.code().map(SqlState::code)),
        message: field("error.as_db_error().message()", Some(db.message())),
        detail: field("error.as_db_error().detail()", db.detail()),
        hint: field("error.as_db_error().hint()", db.hint()),
    }
}

pub(crate) async fn play(call: &Call<'_>) -> Report {
    let mut did = BTreeSet::new();
    let mut refusals = BTreeMap::new();
    let (mut client, mut notifications) = connect(call).await;
    let (watcher, _told) = connect(call).await;

    let stranger = config(call).connect(tls(call.stranger)).await.err().expect("a stranger's certificate passed");
    assert!(format!("{stranger:?}").contains("UnknownIssuer"), "{stranger:?}");
    assert!(client.query_one(super::ENCRYPTED, &[]).await.unwrap().get::<_, bool>(0));
    did.insert("TLS".to_owned());

    let statement = client.prepare("SELECT name FROM products WHERE id = $1").await.unwrap();
    for id in 1..20 {
        let row = client.query_one(&statement, &[&id]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("product {id}"));
    }
    assert!(count(&client, super::PREPARED).await >= 1);
    assert!(client.simple_query("SELECT 1; SELECT 2").await.unwrap().len() >= 4);
    did.insert("prepared statements".to_owned());

    let mut transaction = client.transaction().await.unwrap();
    assert_eq!(transaction.execute(MARK, &[]).await.unwrap(), 1);
    let savepoint = transaction.savepoint("within").await.unwrap();
    savepoint.execute(MARK, &[]).await.unwrap();
    savepoint.rollback().await.unwrap();
    let portal = transaction.bind("SELECT id FROM orders", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 7).await.unwrap().len(), 7);
    assert_eq!(transaction.query_portal(&portal, 0).await.unwrap().len(), 994);
    transaction.commit().await.unwrap();
    assert_eq!(count(&watcher, MARKED).await, 1);
    assert_eq!(client.execute(UNMARK, &[]).await.unwrap(), 1);
    did.insert("transactions".to_owned());

    let transaction = client.transaction().await.unwrap();
    let sink = transaction.copy_in("COPY products (id, name, price) FROM STDIN").await.unwrap();
    let mut sink = pin!(sink);
    for id in 500..600 {
        sink.send(Bytes::from(format!("{id}\tcopied {id}\t1\n"))).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 100);
    let out = transaction.copy_out("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT").await.unwrap();
    let out: Vec<Bytes> = out.try_collect().await.unwrap();
    assert_eq!(out.concat().split(|byte| *byte == b'\n').count(), 101);
    transaction.rollback().await.unwrap();
    did.insert("COPY".to_owned());

    let cancel = async {
        super::until(async || count(&watcher, SLEEPING).await == 1).await;
        client.cancel_token().cancel_query(tls(&call.cluster.ca())).await.unwrap();
    };
    let (slept, ()) = tokio::join!(client.query(SLEEP, &[]), cancel);
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(count(&client, "SELECT count(*) FROM orders").await, 1000);
    did.insert("cancel".to_owned());

    client.batch_execute("LISTEN news").await.unwrap();
    watcher.execute("SELECT pg_notify('news', 'größe')", &[]).await.unwrap();
    let notification = notifications.recv().await.unwrap();
    assert_eq!((notification.channel(), notification.payload()), ("news", "größe"));
    did.insert("LISTEN".to_owned());

    let (words, body) = large();
    client.execute("INSERT INTO documents VALUES (1, $1, $2)", &[&words, &body]).await.unwrap();
    let row = client.query_one("SELECT length(words), length(body), words, body FROM documents", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), i32::try_from(words.chars().count()).unwrap());
    assert_eq!(row.get::<_, i32>(1), i32::try_from(body.len()).unwrap());
    assert!(row.get::<_, String>(2) == words && row.get::<_, Vec<u8>>(3) == body);
    client.execute("DELETE FROM documents", &[]).await.unwrap();
    did.insert("large values".to_owned());

    let mut transaction = client.transaction().await.unwrap();
    transaction.execute(MARK, &[]).await.unwrap();
    let savepoint = transaction.savepoint("within").await.unwrap();
    savepoint.query(SECRETS, &[]).await.unwrap_err();
    savepoint.rollback().await.unwrap();
    assert_eq!(transaction.query_one(MARKED, &[]).await.unwrap().get::<_, i64>(0), 1);
    let error = transaction.query(SECRETS, &[]).await.unwrap_err();
    refusals.insert("transaction".to_owned(), seen(&error));
    let error = transaction.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    assert_eq!(transaction.execute("DROP TABLE orders", &[]).await.is_err(), call.mode == "enforce");
    transaction.rollback().await.unwrap();
    assert_eq!(count(&client, "SELECT count(*) FROM orders").await, 1000);
    did.insert("refusal in a transaction".to_owned());

    // Polled together they are one pipeline, each with a Sync of its own.
    let (first, refused, third) =
        future::join3(client.execute(MARK, &[]), client.query(SECRETS, &[]), client.query_one(MARKED, &[])).await;
    assert_eq!((first.unwrap(), third.unwrap().get::<_, i64>(0)), (1, 1));
    refusals.insert("pipeline".to_owned(), seen(&refused.unwrap_err()));
    assert_eq!(client.execute(UNMARK, &[]).await.unwrap(), 1);
    let transaction = client.transaction().await.unwrap();
    let mark = transaction.prepare(MARK).await.unwrap();
    let (first, refused) = future::join(transaction.execute(&mark, &[]), transaction.query(SECRETS, &[])).await;
    assert_eq!((first.unwrap(), refused.is_err()), (1, true));
    let third = transaction.execute(&mark, &[]).await;
    assert_eq!(third.unwrap_err().code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    assert_eq!(count(&client, MARKED).await, 0);
    did.insert("refusal in a pipeline".to_owned());

    Report { version: locked("tokio-postgres"), bound: call.bind, did, refusals, ended: None }
}
