//! A PostgreSQL server for tests: started by the test that needs it, and never skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A place for a database: in memory when there is such a file system.
pub fn fast_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = TempDir::new_in(memory)
    {
        return folder;
    }
    TempDir::new().unwrap()
}

/// A PostgreSQL server on a free port and in a temporary folder, which ends with this value.
pub struct Server {
    child: Option<Child>,
    pub(super) port: u16,
    data: PathBuf,
    settings: Vec<String>,
    _folder: TempDir,
    count: AtomicUsize,
}

fn program(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = folders.into_iter().map(|folder| folder.join(name));
    let mut found = found.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| {
        let package = match name {
            "pgbouncer" => name,
            _ => "postgresql",
        };
        panic!("{name} is not installed: `apt-get install {package}`, then run the tests again")
    })
}

/// PostgreSQL refuses to run as root. It ends with the thread that has started it.
pub(super) fn as_user(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg(program(name));
    command
}

impl Server {
    /// Starts one. With settings such as `synchronous_commit=off`.
    pub fn start(settings: &[&str]) -> Self {
        let mut all = vec!["fsync=off"];
        all.extend(settings);
        Self::start_in(fast_folder(), &all)
    }

    /// Starts one in a folder, with every setting as it is usually.
    pub fn start_in(folder: TempDir, settings: &[&str]) -> Self {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
        }
        let data = folder.path().join("data");
        let made = as_user("initdb")
            .args([
                "-U",
                "oncely",
                "-A",
                "trust",
                "-N",
                "--no-instructions",
                "-D",
            ])
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = Self {
            child: None,
            port,
            data,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            _folder: folder,
            count: AtomicUsize::new(0),
        };
        server.go_on();
        server
    }

    /// The process that all others of the server descend from, while it stands.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it as a crash does: nothing is finished, and connections break.
    pub fn crash(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = i32::try_from(child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        child.wait().unwrap();
    }

    /// Starts it again, and waits until it answers.
    pub fn go_on(&mut self) {
        let mut command = as_user("postgres");
        command.arg("-D").arg(&self.data).current_dir("/");
        command.args(["-h", "127.0.0.1", "-k", "", "-p", &self.port.to_string()]);
        // In its own folder, which goes with it also when it is killed.
        command.args(["-c", "dynamic_shared_memory_type=mmap"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let since = Instant::now();
        while self.query("postgres", "select 1").is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "PostgreSQL does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://oncely@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Executes statements in a database of it.
    pub fn query(&self, database: &str, text: &str) -> Result<(), tokio_postgres::Error> {
        let url = self.url(database);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, carrier) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
            tokio::spawn(carrier);
            client.batch_execute(text).await
        })
    }

    /// Makes a database of its own, and says where it is. Made on another thread: promises run
    /// inside a runtime.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.count.fetch_add(1, Ordering::Relaxed));
        std::thread::scope(|scope| {
            let made = scope.spawn(|| self.query("postgres", &format!("create database {name}")));
            made.join().unwrap().unwrap();
        });
        self.url(&name)
    }
}

impl Drop for Server {
    /// One that is killed leaves its shared memory to the machine, which has room for 4,096 such.
    fn drop(&mut self) {
        self.crash();
    }
}
