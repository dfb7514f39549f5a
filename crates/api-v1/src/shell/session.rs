//! One shell, from its handshake to its end.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api::websocket::{Lost, Receiver, Sender};
use drover_auth::IssuedToken;
use drover_auth::logins::ShellToken;
use drover_auth::web::ApiError;
use drover_ext::kubeconfig::{self, Credential, Entry};
use drover_types::names::{AGENT_DEPLOYMENT, SYSTEM_NAMESPACE, image_behind};
use futures::{SinkExt, StreamExt};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::{AttachParams, AttachedProcess, ListParams, PostParams, TerminalSize};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior};

use super::pod::{self, Progress, Site};
use super::wire::{self, Heard, Size, Wire};
use super::{clean_up, pods, remove_strays};
use crate::call::Call;

/// For how long a token is good after the last sign of life of its shell.
const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
/// Between signs of life.
const BEAT: Duration = Duration::from_secs(60);
/// How long a pod may take to run; images of this size take a while on slow lines.
const START: Duration = Duration::from_secs(180);
/// How long the cluster may take to tell how a shell ended that has closed its terminal.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Shells of one user at once.
const MOST: usize = 8;
/// Bytes that are passed on at once.
const PIECE: usize = 16 << 10;

/// A shell that is about to open.
pub(super) struct Session {
    pub(super) call: Call,
    pub(super) cluster: String,
    /// What people call the cluster.
    pub(super) title: String,
    pub(super) wire: Wire,
}

/// The client's end.
struct Terminal {
    sender: Sender,
    wire: Wire,
}

/// How a shell ends.
#[derive(Debug)]
enum End {
    /// The client left.
    Left,
    /// With the cluster's own `Status`.
    Done(Value),
    /// For a reason to be told.
    Failed(String),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        tracing::debug!(reason = lost.reason(), "the terminal is gone");
        Self::Left
    }
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.message)
    }
}

impl From<kube::Error> for End {
    fn from(error: kube::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl Terminal {
    async fn show(&mut self, content: &[u8]) -> Result<(), Lost> {
        self.sender.send_frame(self.wire.output(content)).await
    }

    /// A line of our own. What clusters say is shown without its control characters.
    async fn say(&mut self, line: &str) -> Result<(), Lost> {
        let line: String = line
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        self.show(format!("{line}\r\n").as_bytes()).await
    }

    async fn end(mut self, end: End) {
        let status = match end {
            End::Left => return self.sender.close().await,
            End::Done(status) => status,
            End::Failed(reason) => {
                // For clients that show no statuses, as the peer's page.
                if self.say(&reason).await.is_err() {
                    return;
                }
                wire::failure(&reason)
            }
        };
        if let Some(frame) = self.wire.end(&status)
            && self.sender.send_frame(frame).await.is_err()
        {
            return;
        }
        self.sender.close().await;
    }
}

impl Session {
    /// Runs the shell to its end, and leaves nothing of it behind.
    pub(super) async fn run(self, sender: Sender, receiver: Receiver) {
        let mut terminal = Terminal {
            sender,
            wire: self.wire,
        };
        let shared = &self.call.shared;
        let logins = &shared.shells.logins;
        let token = logins
            .shell_token(&self.call.identity, &self.cluster, LIFETIME)
            .await;
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                tracing::warn!(%error, "no token was made for a shell");
                let message = ApiError::from(error).message;
                return terminal.end(End::Failed(message)).await;
            }
        };
        let name = token.name.clone();
        tracing::info!(%name, "a shell is opened");
        let end = tokio::select! {
            () = self.over() => End::Failed("Your session, or your access to this cluster, has ended.".to_owned()),
            () = shared.shells.stop.cancelled() => End::Failed("The server is stopping.".to_owned()),
            () = self.keep(&name) => End::Failed("The token of this shell was taken back.".to_owned()),
            end = self.serve(&mut terminal, receiver, token) => end.unwrap_or_else(|end| end),
        };
        tracing::info!(%name, ?end, "a shell ends");
        tokio::join!(terminal.end(end), clean_up(shared, &self.cluster, &name));
    }

    /// Completes when the caller may not go on.
    async fn over(&self) {
        let shared = &self.call.shared;
        let may = || self.call.check_part(&self.cluster).is_ok();
        tokio::select! {
            () = shared.reach.revoked(&self.call.identity) => {}
            () = shared.guard.access().until_lost(may) => {}
        }
    }

    /// Keeps the token good. Completes when somebody took it back.
    async fn keep(&self, token: &str) {
        let mut beats = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let logins = &self.call.shared.shells.logins;
            match logins.prolong_shell_token(token, LIFETIME).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the token of a shell was not prolonged"),
            }
        }
    }

    async fn serve(
        &self,
        terminal: &mut Terminal,
        mut receiver: Receiver,
        token: IssuedToken,
    ) -> Result<End, End> {
        let name = token.name.clone();
        let mut ahead = Ahead::default();
        let pods = tokio::select! {
            started = self.start(terminal, token) => started?,
            () = hear_ahead(&mut receiver, self.wire, &mut ahead) => return Err(End::Left),
        };
        let params = AttachParams::interactive_tty()
            .container(pod::CONTAINER)
            .max_stdin_buf_size(PIECE)
            .max_stdout_buf_size(PIECE);
        let process = pods.exec(&name, pod::COMMAND, &params).await?;
        Ok(self.pump(terminal, receiver, process, ahead).await)
    }

    /// Makes the pod and waits until commands can be run in it.
    async fn start(&self, terminal: &mut Terminal, token: IssuedToken) -> Result<Api<Pod>, End> {
        let shared = &self.call.shared;
        terminal
            .say(&format!("Starting a kubectl shell in {}.", self.title))
            .await?;
        let client = shared.reach.whole(&self.cluster).await?;
        let pods = pods(client.clone());
        let shells = shared.shells.logins.shell_tokens().await;
        let shells = shells.map_err(ApiError::from)?;
        let is_own = |shell: &&ShellToken| shell.is_live && shell.user == token.user;
        if shells.iter().filter(is_own).count() > MOST {
            return Err(End::Failed(format!(
                "You have {MOST} shells open already; close one."
            )));
        }
        check_nodes(&client).await?;
        if let Err(error) = remove_strays(&shells, &pods).await {
            tracing::info!(%error, "pods of earlier shells could not be looked for");
        }
        let site = self.site(&client).await?;
        let settings = &shared.shells.settings;
        let registry = site
            .registry
            .clone()
            .unwrap_or_else(|| settings.get("system-default-registry"));
        let image = image_behind(&registry, &settings.get("shell-image"));
        let kubeconfig = self.kubeconfig(&token)?;
        let wanted = pod::pod(&token.name, token.user.as_str(), &image, site);
        let made = pods.create(&PostParams::default(), &wanted).await?;
        let secret = pod::secret(&token.name, &made.uid().unwrap_or_default(), kubeconfig);
        Api::<Secret>::namespaced(client, SYSTEM_NAMESPACE)
            .create(&PostParams::default(), &secret)
            .await?;
        wait(terminal, &pods, &token.name).await?;
        terminal.show(b"\r\n").await?;
        Ok(pods)
    }

    /// Where the cluster's agent runs; the local cluster has none.
    async fn site(&self, client: &Client) -> Result<Site, End> {
        let agents: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let agent = agents.get_opt(AGENT_DEPLOYMENT).await?;
        Ok(agent.as_ref().map(Site::of).unwrap_or_default())
    }

    /// The way back through the hub, as the user.
    fn kubeconfig(&self, token: &IssuedToken) -> Result<String, End> {
        let settings = &self.call.shared.shells.settings;
        let configured = settings.get("server-url");
        let server = if configured.is_empty() {
            self.call.urls.norman("")
        } else {
            configured
        };
        let authority = settings.get("cacerts");
        let authority = if authority.is_empty() {
            authority
        } else {
            STANDARD.encode(authority.trim_end())
        };
        let title = self.title.as_str();
        let entry = Entry::through(&server, &self.cluster, title, &authority, title);
        let credential = Credential::Token(token.bearer.expose_secret().to_owned());
        kubeconfig::text(&[entry], title, &[(title.to_owned(), credential)])
            .map_err(|error| End::Failed(format!("The kubeconfig could not be written: {error}")))
    }

    /// Passes keys in and what is shown out, until either side ends.
    async fn pump(
        &self,
        terminal: &mut Terminal,
        receiver: Receiver,
        mut process: AttachedProcess,
        ahead: Ahead,
    ) -> End {
        let (Some(stdin), Some(mut stdout), Some(sizes), Some(status)) = (
            process.stdin(),
            process.stdout(),
            process.terminal_size(),
            process.take_status(),
        ) else {
            return End::Failed("The cluster gave no terminal.".to_owned());
        };
        let mut pings = tokio::time::interval(self.call.shared.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shown = async {
            let mut piece = vec![0; PIECE];
            loop {
                tokio::select! {
                    read = stdout.read(&mut piece) => match read {
                        Ok(0) | Err(_) => break,
                        Ok(length) => terminal.show(&piece[..length]).await?,
                    },
                    _ = pings.tick() => terminal.sender.ping().await?,
                }
            }
            let told = tokio::time::timeout(LAST_WORD, status).await;
            Ok::<_, Lost>(match told.ok().flatten() {
                Some(status) => End::Done(json!(status)),
                None => End::Failed("The connection to the cluster broke.".to_owned()),
            })
        };
        tokio::select! {
            () = pass_keys(receiver, self.wire, stdin, sizes, ahead) => End::Left,
            end = shown => end.unwrap_or_else(End::from),
        }
    }
}

/// A cluster without nodes runs nothing, however long one waits: the hub's own, when it keeps its state itself.
async fn check_nodes(client: &Client) -> Result<(), End> {
    let one = ListParams::default().limit(1);
    if Api::<Node>::all(client.clone())
        .list(&one)
        .await?
        .items
        .is_empty()
    {
        return Err(End::Failed(
            "This cluster has no node that could run a shell.".to_owned(),
        ));
    }
    Ok(())
}

/// Waits until the pod runs, and says what it waits for.
async fn wait(terminal: &mut Terminal, pods: &Api<Pod>, name: &str) -> Result<(), End> {
    let mut said = String::new();
    let ready = async {
        let mut states =
            std::pin::pin!(watcher::watch_object(pods.clone(), name).default_backoff());
        let mut was_there = false;
        while let Some(state) = states.next().await {
            let state = match state {
                Ok(Some(state)) => state,
                Ok(None) if was_there => {
                    return Err(End::Failed("The pod was deleted.".to_owned()));
                }
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(%error, "the pod cannot be watched");
                    continue;
                }
            };
            was_there = true;
            match pod::progress(&state) {
                Progress::Running => return Ok(()),
                Progress::Failed(why) => {
                    return Err(End::Failed(format!("The shell cannot start: {why}")));
                }
                Progress::Waiting(what) if what != said => {
                    terminal.say(&format!("Waiting: {what}")).await?;
                    said = what;
                }
                Progress::Waiting(_) => {}
            }
        }
        Err(End::Failed("The pod cannot be watched.".to_owned()))
    };
    match tokio::time::timeout(START, ready).await {
        Ok(outcome) => outcome,
        Err(_) => Err(End::Failed(format!(
            "The shell did not start within {} s; it was waiting: {said}",
            START.as_secs()
        ))),
    }
}

/// What is heard of a terminal that nothing runs in yet.
#[derive(Default)]
struct Ahead {
    size: Option<Size>,
    keys: Vec<u8>,
}

/// Remembers what is said before anything runs: the last size, and keys, as terminals keep what is typed ahead.
/// Completes when the client leaves.
async fn hear_ahead(receiver: &mut Receiver, wire: Wire, ahead: &mut Ahead) {
    while let Some(frame) = receiver.next_frame().await {
        match wire.read(frame) {
            Some(Heard::Size(size)) => ahead.size = Some(size),
            // What does not fit is lost whole, so that no half of a command is run.
            Some(Heard::Input(keys)) if ahead.keys.len() + keys.len() <= PIECE => {
                ahead.keys.extend_from_slice(&keys);
            }
            Some(Heard::Input(_) | Heard::EndOfInput) | None => {}
        }
    }
}

/// Passes on what the client says. Completes when it leaves.
async fn pass_keys(
    mut receiver: Receiver,
    wire: Wire,
    stdin: impl tokio::io::AsyncWrite + Unpin,
    mut sizes: impl futures::Sink<TerminalSize> + Unpin,
    ahead: Ahead,
) {
    let mut stdin = Some(stdin);
    let of = |Size { width, height }| TerminalSize { width, height };
    // Who takes no keys and sizes any more is about to end, which is told by what it shows.
    if let Some(size) = ahead.size {
        let _ = sizes.send(of(size)).await;
    }
    if let Some(open) = &mut stdin
        && open.write_all(&ahead.keys).await.is_err()
    {
        stdin = None;
    }
    while let Some(frame) = receiver.next_frame().await {
        match (wire.read(frame), &mut stdin) {
            (Some(Heard::Input(keys)), Some(open)) => {
                if open.write_all(&keys).await.is_err() {
                    stdin = None;
                }
            }
            (Some(Heard::Size(size)), _) => {
                let _ = sizes.send(of(size)).await;
            }
            (Some(Heard::EndOfInput), _) => stdin = None,
            (Some(Heard::Input(_)) | None, _) => {}
        }
    }
}
