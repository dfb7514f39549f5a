//! Child processes that end with their owner.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A running process whose output goes to a log file.
///
/// Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A process that should run has ended; waiting longer changes nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Ended(String);

/// How a process is started.
#[derive(Debug)]
pub struct Launch {
    name: String,
    command: Command,
    log: PathBuf,
}

impl Launch {
    /// Prepares `program`; its output is appended to `folder/name.log`.
    #[must_use]
    pub fn new(name: &str, program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self {
            name: name.to_owned(),
            command,
            log: folder.join(format!("{name}.log")),
        }
    }

    /// Runs the program inside a network namespace (needs root and iproute2).
    #[must_use]
    pub fn in_namespace(
        namespace: Option<&str>,
        name: &str,
        program: &Path,
        folder: &Path,
    ) -> Self {
        match namespace {
            None => Self::new(name, program, folder),
            Some(namespace) => Self::new(name, "ip", folder)
                .args(["netns", "exec", namespace])
                .args([program]),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Starts with an empty environment apart from `PATH`.
    #[must_use]
    pub fn clean_environment(mut self) -> Self {
        self.command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            self.command.env("PATH", path);
        }
        self
    }

    /// The folder the process runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts the process.
    ///
    /// # Errors
    ///
    /// When the program or its log file cannot be opened.
    pub fn start(mut self) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let child = self
            .command
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}: {:?}", self.name, self.command.get_program()))?;
        Ok(Process {
            name: self.name,
            child,
            log: self.log,
        })
    }
}

impl Process {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Fails with the end of the log when the process has ended.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn still_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let reason = format!("{} ended with {status}:\n{}", self.name, tail.join("\n"));
            return Err(Ended(reason).into());
        }
        Ok(())
    }

    /// The exit code, once the process has ended by itself.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self
            .child
            .try_wait()?
            .map(|status| status.code().unwrap_or(-1)))
    }

    /// Kills the process at once, as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        // An error here means that it has ended already.
        drop(self.child.kill());
        self.child
            .wait()
            .with_context(|| format!("wait for {}", self.name))?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM).
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub fn terminate(&self) -> Result<()> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .context("run kill")?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM) and kills it after `limit`.
    ///
    /// # Errors
    ///
    /// When it cannot be signalled or waited for.
    pub fn stop(&mut self, limit: Duration) -> Result<()> {
        self.terminate()?;
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill()
    }

    /// Resident memory in bytes, from `/proc`.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.child.id())
    }

    /// CPU time used so far, user and system.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // Fields 14 and 15 of proc_pid_stat(5), in ticks of 1/100 s on Linux.
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The owner is gone; there is nobody to tell that it had ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The resident memory of any process, in bytes.
///
/// # Errors
///
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .context("no figure in VmRSS")?
        .parse()?;
    Ok(kib * 1024)
}
