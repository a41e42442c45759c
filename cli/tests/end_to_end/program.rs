//! The built binary, run as a user runs it, and a server of it.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Write as _},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A partner that every program takes.
pub(crate) const PARTNER: &str = r#"{"partner_id":"p-1","name":"Nordwind GmbH","roles":["reseller"],"region":"EMEA"}"#;

pub(crate) fn pledger(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("pledger starts")
}

/// The same with something on its standard input.
pub(crate) fn fed(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let spawned = command(dir, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut started = spawned.expect("pledger starts");
    started.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    started.wait_with_output().expect("it ends")
}

/// Starts pledger; what it writes can be read, or not.
pub(crate) fn spawn(dir: &Path, arguments: &[&str]) -> Child {
    command(dir, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pledger starts")
}

/// Runs pledger as a user who may read `dir` and write nothing in it; root may write everywhere, and becomes somebody else.
pub(crate) fn pledger_as_reader(dir: &Path, arguments: &[&str]) -> Output {
    let found = std::fs::metadata(dir).expect("the folder");
    let mut reader = command(dir, arguments);
    if found.uid() == 0 {
        // Which may not get at the program where it was built.
        let (built, ours) = (env!("CARGO_BIN_EXE_pledger"), dir.join("pledger"));
        if !ours.exists() && std::fs::hard_link(built, &ours).is_err() {
            std::fs::copy(built, &ours).expect("copied");
        }
        reader = run(Command::new(ours), dir, arguments);
        reader.uid(NOBODY).gid(NOBODY);
    }
    reader.output().expect("pledger starts")
}

/// Who owns nothing, by number.
const NOBODY: u32 = 65_534;

/// Takes the right to write a folder and what is in it from everybody, and gives everybody the right to read.
pub(crate) fn take_the_right_to_write(path: &Path) {
    let is_dir = path.is_dir();
    if is_dir {
        std::fs::read_dir(path).expect("the folder").for_each(|entry| take_the_right_to_write(&entry.expect("an entry").path()));
    }
    std::fs::set_permissions(path, Permissions::from_mode(if is_dir { 0o555 } else { 0o444 })).expect("changed");
}

/// Gives the owner the right to write it back, so that it can be taken away.
pub(crate) fn give_the_right_to_write(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("changed");
    if path.is_dir() {
        std::fs::read_dir(path).expect("the folder").for_each(|entry| give_the_right_to_write(&entry.expect("an entry").path()));
    }
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    run(Command::new(env!("CARGO_BIN_EXE_pledger")), dir, arguments)
}

fn run(mut command: Command, dir: &Path, arguments: &[&str]) -> Command {
    command.current_dir(dir).arg("--data-dir").arg(dir.join("data")).args(arguments);
    command
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn succeed(dir: &Path, arguments: &[&str]) -> String {
    let output = pledger(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a verb that has to exit with `code`; what it said.
pub(crate) fn fail(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = pledger(dir, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    text(&output)
}

pub(crate) fn json(dir: &Path, arguments: &[&str]) -> Value {
    let output = succeed(dir, &[arguments, &["--json"]].concat());
    serde_json::from_str(&output).expect("JSON")
}

/// The token of whoever started the server.
pub(crate) fn token(dir: &Path) -> String {
    let announced: Value = serde_json::from_slice(&std::fs::read(dir.join("data/serve.json")).expect("serve.json")).expect("JSON");
    announced["token"].as_str().expect("a token").to_owned()
}

/// How long an answer or an end may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// A server on a free port, stopped at the end.
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pledger"));
        command.current_dir(dir).arg("--data-dir").arg(dir.join("data")).args(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pledger starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        for line in lines {
            let line = line.expect("a line");
            if let Some((_, rest)) = line.split_once(" on http://").filter(|_| line.starts_with("Serving")) {
                let address = rest.split_whitespace().next().expect("an address");
                return Self { child, url: format!("http://{address}") };
            }
        }
        panic!("the server ended: {:?}", child.wait_with_output());
    }

    /// Status, the header `Pledger-Warning` and body of an answer.
    pub(crate) fn get(&self, path: &str) -> (u16, Option<String>, Value) {
        let mut answer = agent().get(format!("{}{path}", self.url)).call().expect("an answer");
        let warning = answer.headers().get("pledger-warning").map(|text| text.to_str().expect("ASCII").to_owned());
        (answer.status().as_u16(), warning, answer.body_mut().read_json().expect("JSON"))
    }

    /// Status, headers and body of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
        let agent = agent();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let mut answer = match method {
            "POST" => agent.run(request.body(body).expect("a request")),
            _ => agent.run(request.body(()).expect("a request")),
        }
        .expect("an answer");
        (answer.status().as_u16(), answer.headers().clone(), answer.body_mut().read_to_vec().expect("a body"))
    }

    /// Status and body of an answer to the operator whose token this is.
    pub(crate) fn operate(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let (status, _, body) = self.ask(method, path, &[("authorization", &format!("Bearer {token}"))], body.to_string());
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(mut self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("asked").is_none() {
            assert!(Instant::now() < until, "it was told to stop, and goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(self.child.wait().expect("it ended").success(), "a graceful stop exits with 0");
    }
}
