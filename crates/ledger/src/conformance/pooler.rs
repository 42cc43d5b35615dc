//! A pooler before a server, for tests: PgBouncer on a free port, in a temporary folder.

use super::Server;
use super::server::{as_user, fast_folder};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A pooler, which ends with this value.
pub struct Pooler {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// Starts one in a mode: `session` or `transaction`.
    pub fn start(server: &Server, mode: &str) -> Self {
        let folder = fast_folder();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let users = folder.path().join("users.txt");
        std::fs::write(&users, "\"oncely\" \"\"\n").unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=oncely\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 20\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.port,
            users.display(),
        );
        std::fs::write(&settings, text).unwrap();
        if rustix::process::geteuid().is_root() {
            for path in [folder.path(), &users, &settings] {
                std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
            }
        }
        let mut command = as_user("pgbouncer");
        command.arg("-q").arg(&settings).current_dir("/");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self {
            child: command.spawn().unwrap(),
            port,
            _folder: folder,
        };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let waited = since.elapsed();
            assert!(waited < Duration::from_secs(60), "PgBouncer does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }

    /// Where a database of the server is, through the pooler.
    pub fn url(&self, direct: &str) -> String {
        let database = direct.rsplit('/').next().unwrap();
        format!("postgres://oncely@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
