//! The script of README.md with tokio-postgres: prepared, binary, pipelined by polling several at once, COPY as sink and stream.
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{future, SinkExt, StreamExt, TryStreamExt};
use native_tls::TlsConnector;
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::{AsyncMessage, Client, SimpleQueryMessage};

const FIRST: i64 = 1_000_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn say(step: &str, value: impl Debug) {
    println!("{step} {value:?}");
}

fn failing<T>(step: &str, result: Result<T, tokio_postgres::Error>) {
    match result {
        Ok(_) => say(step, "no error"),
        Err(error) => match error.as_db_error() {
            Some(told) => say(step, (told.code().code(), told.message(), told.position())),
            None => say(step, error.to_string()),
        },
    }
}

fn tls() -> Outcome<MakeTlsConnector> {
    let connector = TlsConnector::builder().danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true).build()?;
    Ok(MakeTlsConnector::new(connector))
}

async fn statements(client: &Client, column: &str) -> Outcome<()> {
    let row = client
        .query_one("SELECT $1::int, $2::text, $3::float8, $4::bytea, $5::text[], $6::bool",
                   &[&7i32, &"héllo ' \\ $1", &1.5f64, &&[0u8, 1, 255][..], &vec![Some("x"), None], &None::<bool>])
        .await?;
    say("types", (row.get::<_, i32>(0), row.get::<_, String>(1), row.get::<_, f64>(2), row.get::<_, Vec<u8>>(3),
                  row.get::<_, Vec<Option<String>>>(4), row.get::<_, Option<bool>>(5)));
    let read = client.prepare(&format!("SELECT {column}, city FROM users WHERE user_id = $1")).await?;
    say("columns", read.columns().iter().map(|c| c.name().to_owned()).collect::<Vec<_>>());
    for key in 1..=12i64 {
        let row = client.query_one(&read, &[&key]).await?;
        say("read", (row.get::<_, String>(0), row.get::<_, String>(1)));
    }
    // Polled together they are sent together.
    let keys: Vec<i64> = (1..=50).collect();
    let rows = future::try_join_all(keys.iter().map(|key| {
        let read = &read;
        async move { client.query_one(read, &[key]).await }
    })).await?;
    say("pipeline", rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>());
    let insert = format!("INSERT INTO users (user_id, {column}) VALUES ($1, $2)");
    let row = client.query_one(&format!("{insert} RETURNING {column}"), &[&FIRST, &"first"]).await?;
    say("insert", row.get::<_, String>(0));
    say("update", client.execute(&format!("UPDATE users SET {column} = upper({column}) WHERE user_id = $1"), &[&FIRST]).await?);
    failing("duplicate", client.execute(&insert, &[&FIRST, &"twice"]).await);
    failing("syntax", client.query(&format!("SELECT {column} FRM users"), &[]).await);
    failing("no column", client.query(&format!("SELECT {column}, nothing FROM users"), &[]).await);
    let many = client.simple_query(&format!("SELECT 1; SELECT {column} FROM users WHERE user_id = 3")).await?;
    for message in many {
        match message {
            SimpleQueryMessage::Row(row) => say("multi", row.get(0)),
            SimpleQueryMessage::CommandComplete(count) => say("multi", count),
            _ => {}
        }
    }
    Ok(())
}

async fn transactions(client: &mut Client, column: &str) -> Outcome<()> {
    let mut outer = client.transaction().await?;
    outer.execute(&format!("UPDATE users SET {column} = 'gone' WHERE user_id = 1"), &[]).await?;
    let inner = outer.savepoint("s").await?;
    failing("in transaction", inner.execute("SELECT 1/$1::int", &[&0i32]).await);
    failing("aborted", inner.execute("SELECT 1", &[]).await);
    inner.rollback().await?;
    let row = outer.query_one(&format!("SELECT {column} FROM users WHERE user_id = 1"), &[]).await?;
    say("after savepoint", row.get::<_, String>(0));
    outer.rollback().await?;

    let reading = client.transaction().await?;
    let portal = reading.bind(&format!("SELECT user_id, {column} FROM users ORDER BY user_id"), &[]).await?;
    let mut total = 0;
    loop {
        let rows = reading.query_portal(&portal, 300).await?;
        if rows.is_empty() {
            break;
        }
        total += rows.iter().map(|r| r.get::<_, i64>(0) * 31 + r.get::<_, String>(1).len() as i64).sum::<i64>();
    }
    say("streamed", total);
    reading.commit().await?;
    Ok(())
}

async fn copies(client: &Client, column: &str) -> Outcome<()> {
    let sink = client.copy_in::<_, Bytes>(&format!("COPY users (user_id, {column}) FROM STDIN")).await?;
    futures_util::pin_mut!(sink);
    for n in 1000..3000 {
        sink.send(Bytes::from(format!("{}\tcopied {n}\n", FIRST + n))).await?;
    }
    say("copied", sink.finish().await?);
    let out = client
        .copy_out(&format!("COPY (SELECT user_id, {column} FROM users WHERE user_id >= {}) TO STDOUT", FIRST + 2990))
        .await?;
    let blocks: Vec<Bytes> = out.try_collect().await?;
    say("copy out", String::from_utf8(blocks.concat())?);
    Ok(())
}

async fn asides(client: &Client, told: &mut tokio::sync::mpsc::UnboundedReceiver<(String, String)>) -> Outcome<()> {
    client.batch_execute("LISTEN told; NOTIFY told, 'something'").await?;
    say("notify", told.recv().await);
    let token = client.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(tls().unwrap()).await.unwrap();
    });
    failing("cancel", client.query("SELECT pg_sleep(60)", &[]).await);
    // The server signals twice for a cancel: what follows waits until that is over.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let row = client.query_one("SELECT repeat('x', 3000000) || $1::text", &[&"y".repeat(1_000_000)]).await?;
    say("large", row.get::<_, String>(0).len());
    let gone = client.execute("DELETE FROM users WHERE user_id BETWEEN $1 AND $2", &[&(FIRST + 1), &(FIRST + 1250)]).await?;
    say("delete", gone);
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (url, column) = (&arguments[1], &arguments[2]);
    let (mut client, mut connection) = tokio_postgres::connect(url, tls()?).await?;
    let (teller, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(n) = message {
                let _ = teller.send((n.channel().to_owned(), n.payload().to_owned()));
            }
        }
    });
    statements(&client, column).await?;
    transactions(&mut client, column).await?;
    copies(&client, column).await?;
    asides(&client, &mut told).await?;
    Ok(())
}
