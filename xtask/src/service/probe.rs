//! Whether a broker answers: one metadata request, spoken by hand, so that this program needs no Kafka client.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Metadata of no topic, version 1: key, version, correlation id, no client id, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
/// No answer of a cluster that we know is longer.
const MAX_ANSWER: usize = 1 << 20;

/// How many brokers the one at `address` knows.
pub(super) fn brokers(address: &str) -> io::Result<u32> {
    let to = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&REQUEST)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_ANSWER {
        return Err(io::Error::other("what answers is no Kafka broker"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    // After the correlation id stands the length of the list of brokers.
    match answer.as_slice() {
        [0, 0, 0, 7, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(io::Error::other("what answers is no Kafka broker")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn against(answer: &'static [u8]) -> io::Result<u32> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut request = [0; REQUEST.len()];
            stream.read_exact(&mut request).expect("a request");
            assert_eq!(request, REQUEST);
            stream.write_all(answer).expect("heard");
        });
        let found = brokers(&address);
        server.join().expect("no panic");
        found
    }

    #[test]
    fn the_brokers_are_counted() {
        // As a broker of Kafka 4.3 answered, with its name cut short.
        assert_eq!(
            against(b"\0\0\0\x17\0\0\0\x07\0\0\0\x01\0\0\0\x01\0\x01h\0\0\x71\xa4\xff\xff").expect_err("cut").kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(against(b"\0\0\0\x0c\0\0\0\x07\0\0\0\x03\0\0\0\0").expect("an answer"), 3);
    }

    #[test]
    fn another_server_is_no_broker() {
        for answer in [&b"HTTP/1.1 400 Bad Request"[..], b"\0\0\0\x08\0\0\0\x09\0\0\0\x01", b""] {
            assert!(against(answer).is_err());
        }
    }
}
