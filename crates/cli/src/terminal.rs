//! Where text comes from and goes to.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::process::{Command, Stdio};

use secrecy::SecretString;

/// The user's side of a command.
pub trait Terminal {
    /// Writes results.
    fn print(&mut self, text: &str) -> io::Result<()>;
    /// Writes a line of progress, a question's context, or an error; never results.
    fn complain(&mut self, line: &str);
    /// Whether there is somebody to ask.
    fn interactive(&self) -> bool;
    /// Asks and reads a line, without its end.
    fn ask(&mut self, question: &str) -> io::Result<String>;
    /// Asks and reads a line that is not shown while it is typed.
    fn ask_secret(&mut self, question: &str) -> io::Result<SecretString>;
    /// Reads all of standard input.
    fn read_all(&mut self) -> io::Result<String>;
    /// Shows a page in the user's browser.
    fn browse(&mut self, url: &str) -> io::Result<()>;
}

/// The process's own standard streams.
#[derive(Debug, Default)]
pub struct Process {
    _private: (),
}

/// A password or token is short; more on standard input is a mistake.
const INPUT_LIMIT: u64 = 64 * 1024;

impl Terminal for Process {
    fn print(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The reader, `head` perhaps, has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    fn complain(&mut self, line: &str) {
        // When standard error is closed nobody wants to know.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        let mut err = io::stderr().lock();
        write!(err, "{question} ")?;
        err.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn ask_secret(&mut self, question: &str) -> io::Result<SecretString> {
        let hidden = hidden::Hidden::start()?;
        let answer = self.ask(question);
        drop(hidden);
        self.complain("");
        answer.map(SecretString::from)
    }

    fn read_all(&mut self) -> io::Result<String> {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(INPUT_LIMIT)
            .read_to_string(&mut text)?;
        Ok(text)
    }

    fn browse(&mut self, url: &str) -> io::Result<()> {
        let opener = if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        let mut child = Command::new(opener)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // It may live as long as the browser that it starts; nobody waits for that.
        match child.try_wait()? {
            Some(status) if !status.success() => Err(io::Error::other(status.to_string())),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(unix)]
mod hidden {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Echo is off while this lives.
    pub(super) struct Hidden {
        before: Termios,
    }

    impl Hidden {
        pub(super) fn start() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut without = before.clone();
            without.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Flush, &without)?;
            Ok(Self { before })
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // There is no other way to bring the echo back, so a failure cannot be helped.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    use std::io;

    /// Echo cannot be turned off here.
    pub(super) struct Hidden;

    impl Hidden {
        pub(super) fn start() -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a password cannot be typed unseen on this system; use --password-stdin",
            ))
        }
    }
}
