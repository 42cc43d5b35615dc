//! A MariaDB server for tests: started by the test that needs it, and never skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A MariaDB server on a free port and in a temporary folder, which ends with this value.
pub(crate) struct MariaDb {
    child: Child,
    port: u16,
    socket: PathBuf,
    _folder: TempDir,
}

fn program(names: &[&str]) -> PathBuf {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    folders.push("/usr/sbin".into());
    let paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut found = paths.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| {
        panic!(
            "{} is not installed: `apt-get install mariadb-server`, then run the tests again",
            names[0]
        )
    })
}

/// It refuses to run as root. It ends with the thread that has started it.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg(program).arg("--no-defaults").current_dir("/");
    command
}

impl MariaDb {
    /// Starts one with the database `shop`, and options such as `--plugin-load-add=auth_ed25519`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
        }
        let data = folder.path().join("data");
        // In a folder of its own: a server that starts removes the temporary tables that it finds,
        // those of its neighbours too.
        let scratch = format!("--tmpdir={}", folder.path().display());
        let made = as_user(&program(&["mariadb-install-db", "mysql_install_db"]))
            .arg("--auth-root-authentication-method=normal")
            .arg("--skip-test-db")
            .arg(format!("--datadir={}", data.display()))
            .arg(&scratch)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let socket = folder.path().join("s");
        let child = as_user(&program(&["mariadbd", "mysqld"]))
            .arg(format!("--datadir={}", data.display()))
            .arg(&scratch)
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--port={port}"))
            .arg("--bind-address=127.0.0.1")
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            port,
            socket,
            _folder: folder,
        };
        let since = Instant::now();
        while !server.sql("create database if not exists shop") {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "MariaDB does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Executes statements as root, with the server's own client; whether that went well.
    pub(crate) fn sql(&self, text: &str) -> bool {
        let done = Command::new(program(&["mariadb", "mysql"]))
            .args(["--no-defaults", "--user=root"])
            .arg(format!("--socket={}", self.socket.display()))
            .args(["--execute", text])
            .output()
            .unwrap();
        done.status.success()
    }

    /// Where the database `shop` is, for a user.
    pub(crate) fn url(&self, login: &str, more: &str) -> String {
        format!("mysql2://{login}@127.0.0.1:{}/shop{more}", self.port)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
