//! `drover login` and `drover logout`.

use drover_dial::{
    DialError, ExchangeError, Trust,
    trust::{Fingerprint, certificates},
};
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::Invocation;
use crate::{
    api::{self, Api, Server},
    arguments::LoginArguments,
    configuration::{Context, Token},
    error::CliError,
};

pub(super) async fn login(
    invocation: &mut Invocation<'_>,
    arguments: LoginArguments,
) -> Result<(), CliError> {
    let base = api::address(&arguments.server)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => base.trim_start_matches("https://").to_owned(),
    };
    let mut context = establish_trust(invocation, &base, &arguments).await?;
    let server = Server::of(&context, invocation.environment)?;
    let token = match arguments.token {
        Some(token) if token == "-" => SecretString::from(invocation.terminal.read_all()?.trim()),
        Some(token) => SecretString::from(token),
        None if arguments.browser => super::browser::token(invocation.terminal, &server).await?,
        None => {
            let username = match arguments.username {
                Some(username) => username,
                None if invocation.terminal.interactive() => {
                    invocation.terminal.ask("Username:")?
                }
                None => return Err(CliError::Usage("give --username, or --token".to_owned())),
            };
            let password = match (arguments.password, arguments.password_stdin) {
                (_, true) => SecretString::from(
                    invocation
                        .terminal
                        .read_all()?
                        .trim_end_matches(['\r', '\n']),
                ),
                (Some(password), false) => SecretString::from(password),
                (None, false) if invocation.terminal.interactive() => invocation
                    .terminal
                    .ask_secret(&format!("Password of {username}:"))?,
                (None, false) => {
                    let text = "give the password with --password-stdin or in DROVER_PASSWORD; there is no terminal to ask on";
                    return Err(CliError::Usage(text.to_owned()));
                }
            };
            session(&server, &username, &password).await?
        }
    };
    let me = Api::new(server, token.clone())
        .list("/v3/users?me=true")
        .await?;
    let me = me.first().cloned().unwrap_or_default();
    let user = [&me["username"], &me["name"], &me["id"]]
        .into_iter()
        .filter_map(Value::as_str)
        .find(|it| !it.is_empty());
    let user = user.unwrap_or("unknown").to_owned();
    context.user.clone_from(&user);
    context.token = Some(Token(token));
    if let Some(before) = invocation.configuration.contexts.get(&name)
        && before.server == base
    {
        context.cluster.clone_from(&before.cluster);
    }
    invocation
        .configuration
        .contexts
        .insert(name.clone(), context);
    invocation.configuration.current.clone_from(&name);
    invocation.save()?;
    if me["mustChangePassword"] == true {
        invocation
            .terminal
            .complain("note: this password should be changed; the web page asks for a new one");
    }
    invocation.say(&format!(
        "Logged in to {base} as {user} (context {name}).\n"
    ))
}

/// A context without token: the address, and whom to trust there.
async fn establish_trust(
    invocation: &mut Invocation<'_>,
    base: &str,
    arguments: &LoginArguments,
) -> Result<Context, CliError> {
    let mut context = Context {
        server: base.to_owned(),
        ..Context::default()
    };
    if let Some(file) = &arguments.cacert {
        let pem = std::fs::read_to_string(file).map_err(|source| CliError::File {
            file: file.clone(),
            source,
        })?;
        certificates(pem.as_bytes(), &file.display().to_string())?;
        context.ca = Some(pem);
        return Ok(context);
    }
    if let Some(text) = &arguments.fingerprint {
        let fingerprint = Fingerprint::parse(text).ok_or_else(|| {
            CliError::Usage(format!(
                "--fingerprint {text:?} is not a SHA-256 of 64 hexadecimal digits"
            ))
        })?;
        context.fingerprint = Some(fingerprint.to_string());
        return prefer_ca(invocation, context).await;
    }
    if arguments.insecure_skip_verify {
        let server = Server::new(base, &Trust::Unchecked, invocation.environment)?;
        let answer = server.send(Method::GET, "/ping", None, None).await?;
        let leaf = answer
            .certificates
            .first()
            .ok_or_else(|| CliError::Answer {
                what: format!("{base}/ping"),
                problem: "the server showed no certificate".to_owned(),
            })?;
        let fingerprint = Fingerprint::of(leaf);
        let terminal = &mut *invocation.terminal;
        terminal.complain(&format!(
            "The certificate of {base} is not verified by anyone else."
        ));
        if let Ok((_, parsed)) = x509_parser::parse_x509_certificate(leaf) {
            terminal.complain(&format!("  subject  {}", parsed.subject()));
            terminal.complain(&format!("  issuer   {}", parsed.issuer()));
            terminal.complain(&format!("  valid    until {}", parsed.validity().not_after));
        }
        terminal.complain(&format!("  SHA-256  {fingerprint}"));
        // In a script the flag itself is the consent, as it is to the peer's `--skip-verify`; a person can compare.
        if terminal.interactive() {
            let answer = terminal.ask("Is this the server's certificate? [y/N]")?;
            if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
                return Err(CliError::Usage(
                    "the certificate was not accepted".to_owned(),
                ));
            }
        } else {
            terminal.complain(&format!(
                "warning: it is trusted from now on without a question, as there is no terminal to ask on; --fingerprint {fingerprint} accepts no other"
            ));
        }
        context.fingerprint = Some(fingerprint.to_string());
        return prefer_ca(invocation, context).await;
    }
    Ok(context)
}

/// A pinned certificate stops to work when it is renewed, so the CA behind it is kept instead, if the server tells it
/// over the pinned connection and it does verify the server.
async fn prefer_ca(invocation: &Invocation<'_>, context: Context) -> Result<Context, CliError> {
    let pinned = Server::of(&context, invocation.environment)?;
    let answer = match pinned
        .send(Method::GET, "/v3/settings/cacerts", None, None)
        .await
    {
        Ok(answer) => answer,
        Err(CliError::Server {
            source: ExchangeError::Dial(error @ DialError::Tls { .. }),
            ..
        }) if error.certificate_error().is_some() => {
            return Err(CliError::Usage(format!(
                "the server shows another certificate than the one with fingerprint {}",
                context.fingerprint.unwrap_or_default()
            )));
        }
        Err(error) => return Err(error),
    };
    let setting: Value = serde_json::from_slice(answer.response.body()).unwrap_or_default();
    let Some(pem) = setting["value"]
        .as_str()
        .filter(|pem| certificates(pem.as_bytes(), "cacerts").is_ok())
    else {
        return Ok(context);
    };
    let by_ca = Context {
        ca: Some(format!("{}\n", pem.trim())),
        fingerprint: None,
        ..context.clone()
    };
    let server = Server::of(&by_ca, invocation.environment)?;
    Ok(
        if server.send(Method::GET, "/ping", None, None).await.is_ok() {
            by_ca
        } else {
            context
        },
    )
}

/// A session's token for a local user (recorded 01: `localProviders/local?action=login`).
async fn session(
    server: &Server,
    username: &str,
    password: &SecretString,
) -> Result<SecretString, CliError> {
    let location = "/v3-public/localProviders/local?action=login";
    let body = json!({
        "username": username,
        "password": password.expose_secret(),
        "description": "drover login",
        "responseType": "json",
    });
    let what = format!("logging in to {} as {username}", server.base());
    let answer = server
        .send(Method::POST, location, None, Some(&body))
        .await?;
    let token = api::understand(&what, &answer.response)?;
    match token["token"].as_str() {
        Some(token) => Ok(SecretString::from(token)),
        None => Err(CliError::Answer {
            what,
            problem: "it holds no token".to_owned(),
        }),
    }
}

pub(super) async fn logout(invocation: &mut Invocation<'_>) -> Result<(), CliError> {
    let (name, context) = invocation.context()?;
    let name = name.to_owned();
    if context.token.is_none() {
        return Err(CliError::NotLoggedIn);
    }
    let ended = invocation
        .api()?
        .post("/v3/tokens?action=logout", &json!({}))
        .await;
    if let Some(context) = invocation.configuration.contexts.get_mut(&name) {
        context.token = None;
    }
    super::kubectl::forget(&invocation.file, &name)?;
    invocation.save()?;
    match ended {
        Ok(_) | Err(CliError::Refused { status: 401, .. }) => {}
        Err(error) => {
            invocation.terminal.complain(
                "warning: the token is forgotten here, but the server did not end the session:",
            );
            error.show(invocation.terminal);
        }
    }
    invocation.say(&format!("Logged out of context {name}.\n"))
}
