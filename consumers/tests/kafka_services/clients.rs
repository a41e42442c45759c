//! Clients that are none of ours: Kafka's console tools, kcat, Python.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Sends what stands on its standard input, a message a line; a transaction that is given up where it is told so.
const PRODUCER: &str = r#"
import base64, json, sys
from confluent_kafka import Producer
brokers, topic, how = sys.argv[1:4]
config = {"bootstrap.servers": brokers, "linger.ms": 5, "message.max.bytes": 8000000}
if how == "aborted":
    config["transactional.id"] = topic
producer = Producer(config)
if how == "aborted":
    producer.init_transactions(30)
    producer.begin_transaction()
failed = []
for line in sys.stdin:
    m = json.loads(line)
    value = m["value"] if m["value"] is None or isinstance(m["value"], str) else json.dumps(m["value"])
    headers = [(k, v) for k, v in m.get("headers", [])]
    while True:
        try:
            producer.produce(topic, partition=m.get("partition", 0), key=m.get("key"), headers=headers, value=value,
                             on_delivery=lambda error, _: failed.append(error) if error else None)
            break
        except BufferError:
            producer.poll(0.1)
    producer.poll(0)
producer.flush(60)
if how == "aborted":
    producer.abort_transaction(30)
assert not failed, failed
"#;

const DELETER: &str = r"
import sys
from confluent_kafka.admin import AdminClient
client = AdminClient({'bootstrap.servers': sys.argv[1]})
topics = [t for t in client.list_topics(timeout=10).topics if t.startswith(sys.argv[2])]
for future in client.delete_topics(topics).values() if topics else []:
    future.result(30)
";

const CLEANER: &str = r"
import sys
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
client = AdminClient({'bootstrap.servers': sys.argv[1]})
places = [TopicPartition(sys.argv[2], int(p.split(':')[0]), int(p.split(':')[1])) for p in sys.argv[3].split(',')]
for future in client.delete_records(places).values():
    future.result(30)
";

/// Where they are.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) brokers: String,
    tools: String,
    python: String,
}

/// A message as kcat reads it.
pub(crate) struct Read {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// It has no value, which is not the same as an empty one.
    pub(crate) is_tombstone: bool,
    pub(crate) headers: Vec<(String, String)>,
}

impl Read {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Clients {
    pub(crate) fn find() -> Option<Self> {
        let get = |name: &str| {
            let found = std::env::var(name).ok().filter(|value| !value.is_empty());
            if found.is_none() {
                eprintln!("{name} is not set: the tests that need it are left out");
            }
            found
        };
        let (brokers, tools, python) = (get("PLEDGER_TEST_KAFKA"), get("PLEDGER_TEST_KAFKA_TOOLS"), get("PLEDGER_TEST_PYTHON"));
        Some(Self { brokers: brokers?, tools: tools?, python: python? })
    }

    fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        let writing = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("an end");
        writing.join().expect("no panic").expect("it reads its input");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn java(&self, tool: &str) -> Command {
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-cp", &self.tools, tool, "--bootstrap-server", &self.brokers]);
        java
    }

    /// Lines of `headers TAB key TAB value` by Kafka's console producer; headers are `name:value` with commas between.
    pub(crate) fn java_produces(&self, topic: &str, lines: &str) {
        let mut java = self.java("org.apache.kafka.tools.ConsoleProducer");
        java.args(["--topic", topic]);
        for property in ["parse.headers=true", "parse.key=true"] {
            java.args(["--reader-property", property]);
        }
        Self::run(&mut java, lines.as_bytes());
    }

    /// `headers TAB key TAB value` of so many messages by Kafka's console consumer.
    pub(crate) fn java_consumes(&self, topic: &str, count: usize) -> String {
        let mut java = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer");
        java.args(["--topic", topic, "--from-beginning", "--max-messages", &count.to_string(), "--timeout-ms", "30000"]);
        for property in ["print.headers=true", "print.key=true"] {
            java.args(["--formatter-property", property]);
        }
        String::from_utf8_lossy(&Self::run(&mut java, b"")).into_owned()
    }

    /// A message by kcat, its value byte for byte.
    pub(crate) fn kcat_produces(&self, topic: &str, key: &str, headers: &[(&[u8], &[u8])], value: &[u8]) {
        use std::os::unix::ffi::OsStrExt;
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(value).expect("written");
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", &self.brokers, "-t", topic, "-p", "0", "-k", key, "-X", "message.max.bytes=8000000"]);
        for (name, value) in headers {
            let header = [*name, b"=", *value].concat();
            kcat.arg("-H").arg(std::ffi::OsStr::from_bytes(&header));
        }
        Self::run(kcat.arg(file.path()), b"");
    }

    /// Everything in a topic, partition after partition, by kcat.
    pub(crate) fn kcat_consumes(&self, topic: &str) -> Vec<Read> {
        let mut kcat = Command::new("kcat");
        // Lengths before the parts, so that any byte may stand in them.
        kcat.args(["-C", "-q", "-e", "-b", &self.brokers, "-t", topic, "-o", "beginning", "-X", "fetch.message.max.bytes=16000000"]);
        kcat.args(["-f", "%K %S\n%k%s%h\u{1}\n"]);
        let output = Self::run(&mut kcat, b"");
        let mut rest = output.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let line = rest.iter().position(|byte| *byte == b'\n').expect("a line of lengths");
            let lengths: Vec<i64> =
                String::from_utf8_lossy(&rest[..line]).split(' ').map(|length| length.parse().expect("a length")).collect();
            let is_tombstone = lengths[1] < 0;
            let lengths: Vec<usize> = lengths.into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect();
            rest = &rest[line + 1..];
            let (key, after) = rest.split_at(lengths[0]);
            let (value, after) = after.split_at(lengths[1]);
            let end = after.windows(2).position(|pair| pair == b"\x01\n").expect("an end");
            let headers = String::from_utf8_lossy(&after[..end]).into_owned();
            let headers = headers.split(',').filter_map(|header| header.split_once('=')).map(|(name, value)| (name.into(), value.into()));
            messages.push(Read { key: key.to_vec(), value: value.to_vec(), is_tombstone, headers: headers.collect() });
            rest = &after[end + 2..];
        }
        messages
    }

    fn python(&self, script: &str, args: &[&str], input: &[u8]) {
        Self::run(Command::new(&self.python).args(["-c", script, &self.brokers]).args(args), input);
    }

    /// Messages by Python: `{partition?, key?, headers?, value}` each.
    pub(crate) fn python_produces(&self, topic: &str, messages: &[Value]) {
        self.python(PRODUCER, &[topic, "written"], &lines(messages));
    }

    /// The same in a transaction that is given up.
    pub(crate) fn python_aborts(&self, topic: &str, messages: &[Value]) {
        self.python(PRODUCER, &[topic, "aborted"], &lines(messages));
    }

    /// Deletes the messages of a topic before these offsets, partition by partition.
    pub(crate) fn delete_records(&self, topic: &str, before: &[(u32, u64)]) {
        let before: Vec<String> = before.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
        self.python(CLEANER, &[topic, &before.join(",")], b"");
    }

    /// Deletes the topics whose names begin so.
    pub(crate) fn delete(&self, prefix: &str) {
        self.python(DELETER, &[prefix], b"");
    }
}

fn lines(messages: &[Value]) -> Vec<u8> {
    messages.iter().flat_map(|message| format!("{message}\n").into_bytes()).collect()
}

/// A message in structured mode.
pub(crate) fn structured(partition: usize, kind: &str, id: &str, time: Option<&str>, data: Value) -> Value {
    let mut event = json!({"specversion": "1.0", "id": id, "source": "/crm/eu", "type": format!("pledger.{kind}"), "data": data});
    if let Some(time) = time {
        event["time"] = time.into();
    }
    json!({"partition": partition, "key": "any", "headers": [["content-type", "application/cloudevents+json"]], "value": event})
}

/// A message in binary mode.
pub(crate) fn binary(partition: usize, kind: &str, id: &str, data: &Value) -> Value {
    let headers = json!([
        ["ce_specversion", "1.0"],
        ["ce_id", id],
        ["ce_source", "/crm/eu"],
        ["ce_type", format!("pledger.{kind}")],
        ["content-type", "application/json"]
    ]);
    json!({"partition": partition, "headers": headers, "value": data})
}
