//! Real monitoring on loopback: Prometheus, Alertmanager, and an exporter to be scraped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::control_plane::linked;
use crate::folder::Folder;
use crate::place::Place;
use crate::program::Program;
use crate::{Cgroup, Error, page};

/// How long a program may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Alertmanager looks for its templates where its package puts them, which is not installed: there
/// they are for this process alone.
const WITH_FILES: &str = "mount --make-rprivate / && \
     mount -t overlay overlay -o lowerdir=$0:/usr/share /usr/share && exec \"$@\"";

/// An exporter of one gauge, with a value for each Pod, which a test changes.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    values: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl Exporter {
    /// Serves a gauge of this name; each value has `labels`, as `namespace="shop"`, and is found by
    /// the label `key`. It goes on until this process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no port for it.
    pub fn start(name: &str, key: &str, labels: &str) -> Result<Self, Error> {
        let what = || Error::io("start an exporter");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(what())?;
        let address = listener.local_addr().map_err(what())?;
        let values = Arc::<Mutex<BTreeMap<String, f64>>>::default();
        let (shown, name) = (Arc::clone(&values), name.to_owned());
        let (key, labels) = (key.to_owned(), labels.to_owned());
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let values = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let mut text = format!("# TYPE {name} gauge\n");
                for (of, value) in values {
                    let _ = writeln!(text, "{name}{{{key}=\"{of}\",{labels}}} {value}");
                }
                // Who scrapes may go away meanwhile.
                let _ = answer(stream, &text);
            }
        });
        Ok(Self { address, values })
    }

    /// Sets the value of one.
    pub fn set(&self, of: &str, value: f64) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(of.to_owned(), value);
    }

    /// Shows it no more.
    pub fn remove(&self, of: &str) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(of);
    }
}

fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = [0; 4096];
    let mut length = 0;
    while !request[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[length..])? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

/// An alert that Prometheus is to raise.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// `alertname`.
    pub name: &'a str,
    /// When it fires.
    pub expression: &'a str,
}

/// A program with an address, which can be stopped and started again.
#[derive(Debug)]
struct Server {
    name: &'static str,
    address: SocketAddr,
    arguments: Vec<String>,
    running: Option<Program>,
    cgroup: Cgroup,
    folder: Folder,
}

impl Server {
    fn new(name: &'static str, address: SocketAddr) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let cgroup = Cgroup::new()?;
        Ok(Self { name, address, arguments: Vec::new(), running: None, cgroup, folder })
    }

    fn write(&self, file: &str, text: &str) -> Result<String, Error> {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).map_err(Error::io(format!("write {file}")))?;
        Ok(shown(&path))
    }

    /// Starts it and waits until it says that it is ready.
    fn start(&mut self) -> Result<(), Error> {
        let path = linked("monitoring", self.name)?;
        let path = std::fs::canonicalize(&path).map_err(Error::io("find the program"))?;
        let files = path.ancestors().nth(2).map(|above| above.join("share")).unwrap_or_default();
        let mut command = self.cgroup.place().command("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--"]);
        command.args(["sh", "-c", WITH_FILES, &shown(&files)]).arg(&path).args(&self.arguments);
        let mut program = Program::start_bound(self.name, command)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(status) = program.wait(Duration::ZERO) {
                return Err(program.not_ready(status.to_string()));
            }
            let answer = page(&Place::host(), self.address, "/-/ready");
            if answer.is_ok_and(|answer| answer.status == 200) {
                break;
            }
            if Instant::now() > deadline {
                return Err(program.not_ready("it does not answer".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.running = Some(program);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.running.as_ref().map_or(Ok(()), |program| program.signal(signal))
    }

    fn stop(&mut self) -> Result<(), Error> {
        let Some(mut program) = self.running.take() else { return Ok(()) };
        program.signal(Signal::TERM)?;
        program.wait(PATIENCE).map(drop)
    }
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus(Server);

impl Prometheus {
    /// Scrapes exporters several times a second, and sends alerts to an Alertmanager.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] before `cargo xtask test` has unpacked it; [`Error::NotReady`] with
    /// what it said last.
    pub fn start(
        exporters: &[&Exporter],
        alertmanager: Option<&Alertmanager>,
        rules: &[Rule<'_>],
    ) -> Result<Self, Error> {
        let address = free()?;
        let mut server = Server::new("prometheus", address)?;
        let mut text = String::from("groups:\n- name: test\n  interval: 200ms\n  rules:\n");
        for Rule { name, expression } in rules {
            let _ = write!(text, "  - alert: {name}\n    expr: '{expression}'\n");
        }
        let rules = if rules.is_empty() { "groups: []\n" } else { &text };
        let rules = server.write("rules.yml", rules)?;
        let targets = |addresses: Vec<String>| format!("[{{targets: [{}]}}]", addresses.join(","));
        let exporters = exporters.iter().map(|one| format!("'{}'", one.address)).collect();
        let managers = alertmanager.map(|one| format!("'{}'", one.0.address));
        let configuration = format!(
            "global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: ['{rules}']\n\
             alerting: {{alertmanagers: [{{static_configs: {}}}]}}\n\
             scrape_configs: [{{job_name: test, static_configs: {}}}]\n",
            targets(managers.into_iter().collect()),
            targets(exporters),
        );
        let configuration = server.write("prometheus.yml", &configuration)?;
        let data = shown(&server.folder.path().join("data"));
        server.arguments = vec![
            format!("--config.file={configuration}"),
            format!("--storage.tsdb.path={data}"),
            format!("--web.listen-address={address}"),
            "--rules.alert.resend-delay=1s".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        server.start()?;
        Ok(Self(server))
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not end.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.0.stop()
    }

    /// Starts it again, with what it knew.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] with what it said last.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.0.start()
    }

    /// Stands it still (SIGSTOP): it takes connections and answers none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn pause(&self) -> Result<(), Error> {
        self.0.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn resume(&self) -> Result<(), Error> {
        self.0.signal(Signal::CONT)
    }
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager(Server);

impl Alertmanager {
    /// Sends each alert on its own to a URL, every second as long as it goes on, with a bearer token.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] before `cargo xtask test` has unpacked it; [`Error::NotReady`] with
    /// what it said last.
    pub fn start(webhook: &str, token: &str) -> Result<Self, Error> {
        let address = free()?;
        let mut server = Server::new("prometheus-alertmanager", address)?;
        let configuration = format!(
            "route: {{receiver: etm, group_by: ['...'], group_wait: 0s, group_interval: 1s, \
             repeat_interval: 1s}}\n\
             receivers:\n\
             - name: etm\n  webhook_configs:\n  - url: '{webhook}'\n    send_resolved: true\n    \
             http_config: {{authorization: {{credentials: '{token}'}}}}\n"
        );
        let configuration = server.write("alertmanager.yml", &configuration)?;
        let data = shown(&server.folder.path().join("data"));
        server.arguments = vec![
            format!("--config.file={configuration}"),
            format!("--storage.path={data}"),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        server.start()?;
        Ok(Self(server))
    }

    /// Ends it, whatever goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not end.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.0.stop()
    }
}

/// An address that nobody listens on.
fn free() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(Error::io("find a port"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
