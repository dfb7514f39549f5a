//! The server process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;

pub(crate) const FOLDER: &str = "DROVER_KILLED_SERVER_FOLDER";
pub(crate) const DATABASE: &str = "drover.db";
pub(crate) const SOCKET: &str = "socket";

const LIMIT: Duration = Duration::from_secs(60);

/// A running server; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    socket: PathBuf,
}

impl Process {
    /// Starts a server on what is in the folder, and waits until it answers.
    pub(crate) async fn start(folder: &Path) -> Self {
        let socket = folder.join(SOCKET);
        if socket.exists() {
            std::fs::remove_file(&socket).expect("the old socket goes");
        }
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .args([
                "--ignored",
                "--exact",
                "the_server_that_is_killed",
                "--nocapture",
            ])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        let mut process = Self { child, socket };
        let start = Instant::now();
        while Client::try_connect(&process.socket).await.is_err() {
            assert!(
                process.child.try_wait().expect("its state").is_none(),
                "the server ended by itself"
            );
            assert!(start.elapsed() < LIMIT, "the server did not start in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) async fn client(&self) -> Client {
        Client::try_connect(&self.socket)
            .await
            .expect("a connection")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
