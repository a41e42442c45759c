//! The API on a real socket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pledger_command_api::{Operations, serve, serve_operations};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::stack::{Stack, deal_payload};

const WAIT: Duration = Duration::from_secs(20);

async fn listen(stack: &Stack) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let api = Arc::clone(&stack.api);
    let served = tokio::spawn(serve(listener, api, async {
        let _ = stopped.await;
    }));
    (address, stop, served)
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(WAIT, stream.read(&mut buffer)).await.expect("in time").expect("readable");
        assert!(read > 0, "closed before {wanted:?}: {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).expect("UTF-8"));
    }
    text
}

#[tokio::test]
async fn commands_over_one_connection_and_an_orderly_end() {
    let stack = Stack::ready().await;
    let (address, stop, served) = listen(&stack).await;
    let mut stream = TcpStream::connect(address).await.expect("connected");
    for n in 0..3 {
        let body = deal_payload(&format!("d-{n}"), "acme.com").to_string();
        let head = format!(
            "POST /v1/commands/RegisterDeal HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("written");
        let answer = read_until(&mut stream, "\"rules\":1}").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains(&format!("\"version\":{}", n + 1)), "{answer}");
    }
    // Somebody who listens to changes must not keep the server from stopping.
    let mut listener = TcpStream::connect(address).await.expect("connected");
    listener.write_all(b"GET /v1/changes HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    read_until(&mut listener, "text/event-stream").await;
    stop.send(()).expect("it runs");
    tokio::time::timeout(WAIT, served).await.expect("it stops in time").expect("no panic").expect("no error");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_body_that_is_declared_too_long_is_refused_unread() {
    let stack = Stack::bare();
    let (address, stop, served) = listen(&stack).await;
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = "POST /v1/commands/RegisterDeal HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10485760\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("written");
    let answer = read_until(&mut stream, "BodyTooLarge").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    stop.send(()).expect("it runs");
    tokio::time::timeout(WAIT, served).await.expect("it stops in time").expect("no panic").expect("no error");
}

#[tokio::test]
async fn whoever_sends_a_long_body_is_told_what_is_wrong() {
    let stack = Stack::bare();
    let (address, stop, served) = listen(&stack).await;
    let chunk = vec![b'x'; 1 << 20];
    for (media, length, answered) in
        [("application/json", "content-length: 12582912", "413"), ("text/plain", "content-length: 12582912", "415")]
    {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let head = format!("POST /v1/commands/RegisterDeal HTTP/1.1\r\nhost: x\r\ncontent-type: {media}\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        for n in 0..12 {
            // A client that does not look at the answer before it has sent everything.
            stream.write_all(&chunk).await.unwrap_or_else(|error| panic!("cut off after {n} MB: {error}"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = read_until(&mut stream, "accepted").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {answered}")), "{answer}");
    }
    stop.send(()).expect("it runs");
    tokio::time::timeout(WAIT, served).await.expect("it stops in time").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered() {
    let stack = Stack::bare();
    let (address, stop, served) = listen(&stack).await;
    let long = format!("GET /v1/deals?x={} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(100_000));
    for (head, status) in [(long.as_str(), "414"), ("nonsense\r\n\r\n", "400"), ("GET /v1/deals HTTP/1.1\r\n: x\r\n\r\n", "400")] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(head.as_bytes()).await.expect("written");
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    stop.send(()).expect("it runs");
    tokio::time::timeout(WAIT, served).await.expect("it stops in time").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_process_without_an_api_says_what_it_answers() {
    let stack = Stack::ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve_operations(listener, Operations::of(&stack.api), std::future::pending()));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"GET /v1/deals HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let answer = read_until(&mut stream, "/metrics here").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("there is no /v1/deals here: this process has no role api"), "{answer}");
}
